//! Walking through a listing of AWS's to its end: what was read in part proves nothing about what it did not show.

use privatelink::{GatewayError, Page, PageToken};

use super::observe::UNREADABLE;

/// The code of a listing that leads back to where it was.
pub const NO_END: &str = "page_token_repeated";

/// Where the listing goes on after a page that was read from `from`; `None` at its end. Refuses what would make an incomplete listing look whole.
pub(super) fn next<T>(
    page: &Page<T>,
    from: Option<&PageToken>,
) -> Result<Option<PageToken>, GatewayError> {
    let incomplete = |code: &str, message: String| GatewayError::Unknown {
        code: code.to_owned(),
        message,
    };
    if page.unreadable > 0 {
        let message = format!("{} rows in AWS's answer could not be read", page.unreadable);
        return Err(incomplete(UNREADABLE, message));
    }
    if page.next.is_some() && page.next.as_ref() == from {
        let message = "AWS's listing goes on where it was".to_owned();
        return Err(incomplete(NO_END, message));
    }
    Ok(page.next.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(unreadable: usize, next: Option<&str>) -> Page<u8> {
        Page {
            items: vec![1],
            unreadable,
            next: next.map(|token| PageToken(token.to_owned())),
        }
    }

    #[test]
    fn an_incomplete_listing_is_an_error() {
        let from = PageToken("a".to_owned());
        let code = |page: &Page<u8>| next(page, Some(&from)).map_err(|e| e.code().to_owned());
        assert_eq!(code(&page(0, None)), Ok(None));
        assert_eq!(
            code(&page(0, Some("b"))),
            Ok(Some(PageToken("b".to_owned())))
        );
        assert_eq!(code(&page(0, Some("a"))), Err(NO_END.to_owned()));
        assert_eq!(code(&page(1, None)), Err(UNREADABLE.to_owned()));
    }
}

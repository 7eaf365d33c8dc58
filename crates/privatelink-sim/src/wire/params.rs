//! The parameters of one request, read by name. What nobody read is an unknown parameter.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::str::FromStr;

use super::form::Node;
use crate::AwsError;
use crate::world::Caller;
use crate::world::ids;
use crate::world::select::{self, Filter, Filters, Paging, Tags};
use crate::world::tags::check_tags;

/// What may differ from page to page.
const PAGES: [&str; 4] = ["MaxResults", "NextToken", "PageSize", "Marker"];

fn digest(so_far: u64, name: &str, node: &Node) -> u64 {
    let value = node.value.as_deref().unwrap_or_default();
    let own = ids::mix(ids::hash(name) ^ ids::mix(ids::hash(value)));
    let all = node
        .children
        .iter()
        .fold(own, |so_far, (name, node)| digest(so_far, name, node));
    ids::mix(ids::mix(so_far) ^ all)
}

/// Parameters below one path of the tree.
#[derive(Debug)]
pub struct Params<'a> {
    node: &'a Node,
    path: String,
    /// Who asks and where, for page tokens.
    place: u64,
    read: RefCell<BTreeSet<String>>,
    /// A parameter that was read as a text and is a list, or the other way round.
    misread: RefCell<Option<String>>,
}

impl<'a> Params<'a> {
    /// The parameters of a request. `Action` and `Version` are read by whoever chose the action.
    pub fn new(node: &'a Node) -> Self {
        let params = Self::below(node, String::new());
        for name in ["Action", "Version"] {
            params.child(name);
        }
        params
    }

    /// The same of a caller in an account and a Region, where alone its page tokens are good.
    #[must_use]
    pub fn asked_by(mut self, me: &Caller) -> Self {
        self.place = ids::hash(&format!("{} {}", me.account, me.region));
        self
    }

    /// What a page token of this request is good for: the account, the Region, and every parameter but those that choose the
    /// page, those of a presigned URL, and `DryRun`, which asks for nothing else.
    pub fn scope(&self) -> u64 {
        let free =
            |name: &str| PAGES.contains(&name) || name == "DryRun" || name.starts_with("X-Amz-");
        let asked = self.node.children.iter();
        asked
            .filter(|(name, _)| !free(name))
            .fold(self.place, |so_far, (name, node)| {
                digest(so_far, name, node)
            })
    }

    fn below(node: &'a Node, path: String) -> Self {
        Self {
            node,
            path,
            place: 0,
            read: RefCell::default(),
            misread: RefCell::default(),
        }
    }

    /// A child that must be a text, not a list or a structure; what else it is makes [`Params::finish`] fail.
    fn leaf(&self, name: &str) -> Option<&'a str> {
        let node = self.child(name)?;
        if !node.children.is_empty() {
            self.misread.borrow_mut().get_or_insert(name.to_owned());
        }
        node.value.as_deref()
    }

    fn child(&self, name: &str) -> Option<&'a Node> {
        self.read.borrow_mut().insert(name.to_owned());
        self.node.children.get(name)
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// An optional text. An empty one counts as absent, except where AWS says otherwise.
    pub fn text(&self, name: &str) -> Option<String> {
        self.leaf(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// Whether a parameter, or anything below it, was given a value.
    pub fn is_given(&self, name: &str) -> bool {
        self.child(name).is_some_and(|node| {
            !node.children.is_empty() || node.value.as_deref().is_some_and(|v| !v.is_empty())
        })
    }

    /// A text that may be empty on purpose.
    pub fn raw(&self, name: &str) -> Option<String> {
        self.leaf(name).map(str::to_owned)
    }

    /// A text that must be there.
    pub fn required(&self, name: &str) -> Result<String, AwsError> {
        self.text(name)
            .ok_or_else(|| AwsError::missing(&self.full(name)))
    }

    /// `true` or `false`, in lower case as the SDKs send it.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, AwsError> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(AwsError::bad_value(&self.full(name), other)),
        }
    }

    /// An optional number.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, AwsError> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| AwsError::bad_value(&self.full(name), &text))
            })
            .transpose()
    }

    /// `Name.1`, `Name.2`, … in the order of the numbers.
    pub fn list(&self, name: &str) -> Result<Vec<String>, AwsError> {
        self.items(self.child(name), name)?
            .into_iter()
            .map(|(number, node)| {
                node.value
                    .clone()
                    .filter(|_| node.children.is_empty())
                    .ok_or_else(|| {
                        AwsError::new(
                            "UnknownParameter",
                            format!(
                                "The parameter {}.{number} is not recognized",
                                self.full(name)
                            ),
                        )
                    })
            })
            .collect()
    }

    /// `Name.1.Field`, `Name.2.Field`, …: the parameters below each number.
    pub fn structures(&self, name: &str) -> Result<Vec<Params<'a>>, AwsError> {
        let items = self.items(self.child(name), name)?;
        Ok(items
            .into_iter()
            .map(|(number, node)| Params::below(node, format!("{}.{number}.", self.full(name))))
            .collect())
    }

    /// The parameters below `Name.`, for structures and for the Query protocol's `Name.member`.
    pub fn inside(&self, name: &str) -> Option<Params<'a>> {
        let node = self.child(name)?;
        Some(Params::below(node, format!("{}.", self.full(name))))
    }

    /// The Query protocol's list: `Name.member.1`, …
    pub fn members(&self, name: &str) -> Result<Vec<String>, AwsError> {
        let Some(inside) = self.inside(name) else {
            return Ok(Vec::new());
        };
        let list = inside.list("member")?;
        inside.finish()?;
        Ok(list)
    }

    /// The Query protocol's list of structures: `Name.member.1.Field`, …
    pub fn member_structures(&self, name: &str) -> Result<Vec<Params<'a>>, AwsError> {
        let Some(inside) = self.inside(name) else {
            return Ok(Vec::new());
        };
        let list = inside.structures("member")?;
        inside.finish()?;
        Ok(list)
    }

    fn items(&self, node: Option<&'a Node>, name: &str) -> Result<Vec<(u32, &'a Node)>, AwsError> {
        let Some(node) = node else {
            return Ok(Vec::new());
        };
        // An SDK sends a bare `Name=` for an empty list.
        if node.value.as_deref().is_some_and(|value| !value.is_empty()) {
            return Err(self.unknown(name));
        }
        let mut items: Vec<(u32, &Node)> = node
            .children
            .iter()
            .map(|(number, child)| {
                // As SDKs write them: digits from 1 on. Two spellings of a number would be one item given twice.
                let plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
                let number = Some(number)
                    .filter(|_| plain)
                    .and_then(|number| number.parse().ok())
                    .ok_or_else(|| self.unknown(&format!("{name}.{number}")))?;
                Ok((number, child))
            })
            .collect::<Result<_, AwsError>>()?;
        items.sort_by_key(|(number, _)| *number);
        Ok(items)
    }

    fn unknown(&self, name: &str) -> AwsError {
        let full = self.full(name);
        let shown: String = full.trim_end_matches('.').chars().take(128).collect();
        AwsError::new(
            "UnknownParameter",
            format!("The parameter {shown} is not recognized"),
        )
    }

    /// Refuses parameters that AWS has and the simulator has not, by name.
    pub fn not_modelled(&self, names: &[&str]) -> Result<(), AwsError> {
        match names.iter().find(|name| self.child(name).is_some()) {
            Some(name) => Err(AwsError::not_modelled(&format!(
                "The parameter {}",
                self.full(name)
            ))),
            None => Ok(()),
        }
    }

    /// Accepts parameters that change nothing in the simulated world.
    pub fn ignore(&self, names: &[&str]) {
        for name in names {
            self.child(name);
        }
    }

    /// Refuses what nobody read. `UnknownParameter`, as AWS says to a misspelled name.
    pub fn finish(&self) -> Result<(), AwsError> {
        if let Some(name) = self.misread.borrow().as_ref() {
            return Err(self.unknown(name));
        }
        // An SDK sends a bare `Name=` for an empty list.
        if self
            .node
            .value
            .as_deref()
            .is_some_and(|value| !value.is_empty())
        {
            return Err(self.unknown(""));
        }
        let read = self.read.borrow();
        match self.node.children.keys().find(|name| !read.contains(*name)) {
            Some(name) => Err(self.unknown(name)),
            None => Ok(()),
        }
    }

    /// [`Params::finish`] for a whole EC2 request, with the shapes of its ids. `DryRun` was seen to by whoever chose the action.
    pub fn finish_ec2(&self) -> Result<(), AwsError> {
        self.child("DryRun");
        self.finish()?;
        super::ec2::ids::check(self.node)
    }

    /// `Filter.N.Name` and `Filter.N.Value.N`.
    pub fn filters(&self) -> Result<Filters, AwsError> {
        let filters = self.structures("Filter")?.into_iter().map(|filter| {
            let read = Filter {
                name: filter.required("Name")?,
                values: filter
                    .list("Value")?
                    .iter()
                    .map(|value| select::shortened(value))
                    .collect(),
            };
            filter.finish()?;
            Ok(read)
        });
        filters.collect::<Result<_, AwsError>>().map(Filters)
    }

    /// `MaxResults` and `NextToken`. Too large a page is clipped, too small a one refused.
    pub fn paging(&self, smallest: usize) -> Result<Paging, AwsError> {
        let max = self.number::<usize>("MaxResults")?;
        if max.is_some_and(|max| max < smallest) {
            return Err(AwsError::new(
                "InvalidMaxResults",
                format!("MaxResults must be {smallest} or more"),
            ));
        }
        Ok(Paging {
            max,
            token: self.text("NextToken"),
            scope: self.scope(),
        })
    }

    /// `MaxResults` and `NextToken` of an action whose model names the largest page too: a larger one is refused.
    pub fn paging_within(&self, smallest: usize, largest: usize) -> Result<Paging, AwsError> {
        let paging = self.paging(smallest)?;
        match paging.max {
            Some(max) if max > largest => Err(AwsError::new(
                "InvalidParameterValue",
                format!(
                    "Value ({max}) for parameter maxResults is invalid: expecting {smallest} to {largest}"
                ),
            )),
            max => Ok(Paging {
                max: max.or(Some(largest)),
                ..paging
            }),
        }
    }

    /// `TagSpecification.N`, all of which must be for this type of resource.
    pub fn tag_specifications(&self, resource_type: &str) -> Result<Tags, AwsError> {
        let mut tags = Tags::new();
        for specification in self.structures("TagSpecification")? {
            let kind = specification.required("ResourceType")?;
            if kind != resource_type {
                return Err(AwsError::new(
                    "InvalidParameterValue",
                    format!("'{kind}' is not a valid taggable resource type for this operation."),
                ));
            }
            tags.extend(tag_list(&specification.structures("Tag")?)?);
            specification.finish()?;
        }
        check_tags(&tags)?;
        Ok(tags)
    }
}

/// `Key` and `Value` of each; the last of a key counts.
pub fn tag_pairs(list: &[Params<'_>]) -> Result<Tags, AwsError> {
    list.iter()
        .map(|tag| {
            let pair = (tag.required("Key")?, tag.text("Value").unwrap_or_default());
            tag.finish()?;
            Ok(pair)
        })
        .collect()
}

/// As [`tag_pairs`], with EC2's answer to a key that is given twice.
pub fn tag_list(list: &[Params<'_>]) -> Result<Tags, AwsError> {
    let tags = tag_pairs(list)?;
    if tags.len() < list.len() {
        return Err(AwsError::new(
            "InvalidParameterValue",
            "Duplicate tag keys are specified.",
        ));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::form;

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let root = form::parse(b"Id.10=j&Id.2=b&Id.1=a").unwrap();
        assert_eq!(Params::new(&root).list("Id").unwrap(), ["a", "b", "j"]);
    }

    #[test]
    fn what_nobody_read_is_unknown() {
        let root = form::parse(b"Action=X&SupportedRegions.1=eu-west-1").unwrap();
        let error = Params::new(&root).finish().unwrap_err();
        assert_eq!(error.code, "UnknownParameter");
        assert!(error.message.contains("SupportedRegions"));
    }

    #[test]
    fn a_list_with_names_for_numbers_is_refused() {
        for body in [
            &b"Id.member.1=a"[..],
            b"Id.x=a",
            b"Id=a",
            b"Id.-1=a",
            b"Id.1.Name=a",
        ] {
            let root = form::parse(body).unwrap();
            let error = Params::new(&root).list("Id").unwrap_err();
            assert_eq!(error.code, "UnknownParameter");
        }
    }

    #[test]
    fn a_number_is_written_in_one_way() {
        for body in [
            &b"Id.0=a"[..],
            b"Id.01=a",
            b"Id.%2B1=a",
            b"Id.4294967296=a",
            b"Id.%D9%A1=a",
        ] {
            let root = form::parse(body).unwrap();
            let error = Params::new(&root).list("Id").unwrap_err();
            assert_eq!(error.code, "UnknownParameter");
        }
        let root = form::parse(b"Id.1000000000=a").unwrap();
        assert_eq!(Params::new(&root).list("Id").unwrap(), ["a"]);
    }

    #[test]
    fn a_list_for_a_text_and_a_text_for_a_structure_are_refused() {
        let read = |body: &[u8]| {
            let root = form::parse(body).unwrap();
            let params = Params::new(&root);
            params.flag("DryRun")?;
            if let Some(inside) = params.inside("Options") {
                inside.text("A");
                inside.finish()?;
            }
            params.finish()
        };
        assert_eq!(read(b"DryRun=true&Options.A=b"), Ok(()));
        assert_eq!(read(b"Options="), Ok(()));
        for (body, name) in [
            (&b"DryRun.1=true"[..], "DryRun"),
            (b"DryRun=true&DryRun.1=x", "DryRun"),
            (b"Options=x", "Options"),
            (b"Options.A.B=x", "Options.A"),
        ] {
            let error = read(body).unwrap_err();
            let message = format!("The parameter {name} is not recognized");
            assert_eq!(
                (error.code.as_str(), error.message),
                ("UnknownParameter", message)
            );
        }
    }

    #[test]
    fn a_tag_key_is_given_once() {
        let body = b"TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=a\
                     &TagSpecification.1.Tag.2.Key=a";
        let root = form::parse(body).unwrap();
        let error = Params::new(&root).tag_specifications("vpc").unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
    }

    #[test]
    fn pages_smaller_than_aws_allows_are_refused() {
        let root = form::parse(b"MaxResults=4").unwrap();
        let error = Params::new(&root).paging(5).unwrap_err();
        assert_eq!(error.code, "InvalidMaxResults");
    }
}

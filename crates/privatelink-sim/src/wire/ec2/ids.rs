//! The shapes of ids, which EC2 checks before it looks anything up.

use crate::AwsError;
use crate::wire::form::Node;

/// Parameters that hold ids of one kind, what those begin with, and EC2's code for others.
const SHAPES: [(&[&str], &str, &str); 5] = [
    (&["VpcId"], "vpc-", "InvalidVpcID.Malformed"),
    (
        &["SubnetId", "AddSubnetId", "RemoveSubnetId"],
        "subnet-",
        "InvalidSubnetID.Malformed",
    ),
    (
        &[
            "GroupId",
            "SecurityGroupId",
            "AddSecurityGroupId",
            "RemoveSecurityGroupId",
        ],
        "sg-",
        "InvalidGroupId.Malformed",
    ),
    (
        &["RouteTableId", "AddRouteTableId", "RemoveRouteTableId"],
        "rtb-",
        "InvalidRouteTableId.Malformed",
    ),
    (
        &["VpcEndpointId"],
        "vpce-",
        "InvalidVpcEndpointId.Malformed",
    ),
];

/// Here each id stands alone: a bad one is an item of the answer.
const BY_ITEM: &str = "DeleteVpcEndpoints";

/// Refuses ids that EC2 cannot have given out, anywhere at the top of a request.
pub(in crate::wire) fn check(request: &Node) -> Result<(), AwsError> {
    let action = request.children.get("Action");
    if action.and_then(|node| node.value.as_deref()) == Some(BY_ITEM) {
        return Ok(());
    }
    for (names, prefix, code) in SHAPES {
        for node in names.iter().filter_map(|name| request.children.get(*name)) {
            let items = node.children.values().chain([node]);
            let ids = items.filter_map(|item| item.value.as_deref());
            for id in ids.filter(|id| !id.is_empty()) {
                if !is_shaped(id, prefix) {
                    let shown: String = id.chars().take(64).collect();
                    let message = format!("Invalid id: \"{shown}\" (expecting \"{prefix}...\")");
                    return Err(AwsError::new(code, message));
                }
            }
        }
    }
    Ok(())
}

/// 8 hexadecimal digits in old ids, 17 in those of today.
fn is_shaped(id: &str, prefix: &str) -> bool {
    let digits = id.strip_prefix(prefix).unwrap_or_default();
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (8..=17).contains(&digits.len()) && digits.bytes().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::form;

    #[test]
    fn an_id_of_another_shape_is_refused_with_the_code_of_its_kind() {
        let subnet = "subnet-0123456789abcdef0";
        for (body, code) in [
            ("VpcId=vpc-x".to_owned(), "InvalidVpcID.Malformed"),
            (format!("VpcId={subnet}"), "InvalidVpcID.Malformed"),
            (
                format!("SubnetId.1={subnet}&SubnetId.2=subnet-0123456789ABCDEF0"),
                "InvalidSubnetID.Malformed",
            ),
            (
                "AddSecurityGroupId.1=sg-0123456".to_owned(),
                "InvalidGroupId.Malformed",
            ),
            (
                "RouteTableId.1=rtb-".to_owned(),
                "InvalidRouteTableId.Malformed",
            ),
            (
                "Action=AcceptVpcEndpointConnections&VpcEndpointId.1=vpce-svc-0".to_owned(),
                "InvalidVpcEndpointId.Malformed",
            ),
        ] {
            let root = form::parse(body.as_bytes()).unwrap();
            assert_eq!(check(&root).unwrap_err().code, code, "{body}");
        }
        for body in [
            format!("VpcId=vpc-01234567&SubnetId.1={subnet}"),
            "SubnetId=&GroupName=x".to_owned(),
            "Action=DeleteVpcEndpoints&VpcEndpointId.1=nonsense".to_owned(),
        ] {
            let root = form::parse(body.as_bytes()).unwrap();
            assert_eq!(check(&root), Ok(()), "{body}");
        }
    }
}

//! `CreateTags` and `DeleteTags` on the wire.

use super::write_return;
use crate::AwsError;
use crate::wire::params::{Params, tag_list};
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, tags) = (p.list("ResourceId")?, tag_list(&p.structures("Tag")?)?);
    p.finish_ec2()?;
    if ids.is_empty() || tags.is_empty() {
        return Err(AwsError::missing(if ids.is_empty() {
            "ResourceId"
        } else {
            "Tag"
        }));
    }
    world.create_tags(me, &ids, &tags)?;
    Ok(write_return())
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let ids = p.list("ResourceId")?;
    let tags = p
        .structures("Tag")?
        .iter()
        .map(|tag| {
            // Without a value the key is enough; an empty value means the empty value.
            let pair = (tag.required("Key")?, tag.raw("Value"));
            tag.finish()?;
            Ok(pair)
        })
        .collect::<Result<Vec<_>, AwsError>>()?;
    p.finish_ec2()?;
    if ids.is_empty() {
        return Err(AwsError::missing("ResourceId"));
    }
    world.delete_tags(me, &ids, &tags)?;
    Ok(write_return())
}

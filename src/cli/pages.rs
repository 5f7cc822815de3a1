//! Answers that come in pages.

use tonic::Status;

use super::failure::Failure;

/// Asks for page after page, each of at most `page_size`, until there are `limit` items or no more. Tells with them whether there
/// are more. `ask` takes the size and the token of a page, and answers with its items and the token of the next.
pub(crate) async fn collect<T>(
    limit: usize,
    page_size: usize,
    mut ask: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Status>,
) -> Result<(Vec<T>, bool), Failure> {
    let (mut all, mut token) = (Vec::new(), String::new());
    while all.len() < limit {
        let size = i32::try_from(page_size.min(limit - all.len())).unwrap_or(i32::MAX);
        let (items, next) = ask(size, token).await?;
        all.extend(items);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    Ok((all, !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven items in pages of up to three; answers what was collected, and the sizes that were asked for.
    async fn collected(limit: usize) -> (Vec<usize>, bool, Vec<i32>) {
        let mut sizes = Vec::new();
        let (all, more) = collect(limit, 3, async |size, token| {
            sizes.push(size);
            let from = token.parse().unwrap_or(0);
            let to = 7.min(from + usize::try_from(size).unwrap_or(0));
            Ok(((from..to).collect(), if to < 7 { to.to_string() } else { String::new() }))
        })
        .await
        .ok()
        .unwrap();
        (all, more, sizes)
    }

    #[tokio::test]
    async fn pages_are_asked_for_up_to_the_limit_or_the_end() {
        assert_eq!(collected(usize::MAX).await, ((0..7).collect(), false, vec![3, 3, 3]));
        assert_eq!(collected(7).await, ((0..7).collect(), false, vec![3, 3, 1]));
        assert_eq!(collected(4).await, ((0..4).collect(), true, vec![3, 1]));
        assert_eq!(collected(0).await, (vec![], false, vec![]));
    }
}

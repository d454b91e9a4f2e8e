//! Lists that registries answer in pages
//! ([spec.md, "Listing Tags"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags)).

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::LINK;

use super::Error;
use super::transport::{Call, Transport};
use super::wire::Response;
use crate::redact::RedactedUrl;

/// The largest page that is read.
const MAX_PAGE: u64 = 4 << 20;
/// The most that is read of one list: pages, and bytes of all pages.
const MAX_PAGES: usize = 200;
const MAX_LIST: usize = 16 << 20;
const ENDLESS: &str = "with a list without end";

/// Reads a list page by page: `call` makes the request for a page, `take` takes its body.
pub(super) async fn each<'a>(
    transport: &Transport,
    first: Url,
    call: impl Fn(Url) -> Call<'a>,
    mut take: impl FnMut(&Bytes) -> Result<(), &'static str>,
) -> Result<(), Error> {
    let mut url = first;
    let mut bytes = 0;
    for _ in 0..MAX_PAGES {
        let request = call(url);
        let ((asked, next), body) = transport.fetch(&request, MAX_PAGE, links).await?;
        bytes += body.len();
        if bytes > MAX_LIST {
            return Err(malformed(&asked, ENDLESS));
        }
        take(&body).map_err(|problem| malformed(&asked, problem))?;
        let Some(next) = next else {
            return Ok(());
        };
        if !transport.is_origin_of(&next) {
            return Err(malformed(&asked, "with a next page at another registry"));
        }
        url = next;
    }
    Err(malformed(&url, ENDLESS))
}

fn links(response: &Response) -> (Url, Option<Url>) {
    let next = response.headers(&LINK).find_map(next_target);
    let next = next.and_then(|target| response.url().join(target).ok());
    (response.url().clone(), next)
}

/// The target of the link with `rel=next`
/// ([RFC 8288, section 3](https://www.rfc-editor.org/rfc/rfc8288#section-3)).
fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, more) = after
            .split_once('<')
            .map_or((after, ""), |(parameters, _)| {
                (parameters, &after[parameters.len()..])
            });
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let rel = name.trim().eq_ignore_ascii_case("rel");
            rel && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
        });
        if is_next {
            return Some(target);
        }
        rest = more;
    }
}

fn malformed(url: &Url, problem: &'static str) -> Error {
    Error::Protocol {
        method: reqwest::Method::GET,
        url: RedactedUrl::new(url),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_next_page() {
        for header in [
            r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
            r"<https://r.example/first>; rel=first, </v2/a/tags/list?n=2&last=b>;rel=next",
        ] {
            let next = next_target(header);
            assert_eq!(next, Some("/v2/a/tags/list?n=2&last=b"), "{header}");
        }
        assert_eq!(next_target(r#"</v2/>; rel="prev""#), None);
    }

    proptest! {
        #[test]
        fn any_header_ends(text in "\\PC{0,60}", like in "[<>;,=relnxt\" ]{0,40}") {
            next_target(&text);
            next_target(&like);
        }
    }
}

//! Checking a login
//! ([spec.md, "Determining Support"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support)).

use reqwest::Method;

use super::Error;
use super::auth::Access;
use super::transport::{Call, Transport};

/// Sees whether the registry takes the credentials. `false`: it asks for none.
pub(super) async fn check(transport: &Transport) -> Result<bool, Error> {
    let call = Call::new(Method::GET, transport.root(), Access::Login);
    let response = transport.send(&call).await?;
    if response.is_page() {
        return Err(response.problem("with a page: it is no registry"));
    }
    Ok(transport.has_credentials().await)
}

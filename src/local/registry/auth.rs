//! Who is let in.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::options::Auth;
use super::refusal::Refusal;
use super::route::{Endpoint, Route};
use super::store::random_name;
use crate::local::http::{Request, Response, typed};
use crate::redact::Secret;

/// The scope that a token allows and a request needs: `repository:<name>:<action>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    kind: &'static str,
    name: String,
    action: &'static str,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.action)
    }
}

impl Access {
    fn repository(name: &str, action: &'static str) -> Self {
        Self {
            kind: "repository",
            name: name.to_owned(),
            action,
        }
    }
}

/// The scope that a request needs.
pub(super) fn needed(request: &Request, route: &Route) -> Vec<Access> {
    let (name, endpoint) = match route {
        Route::Repository(name, endpoint) => (name, endpoint),
        Route::Catalog => {
            return vec![Access {
                kind: "registry",
                name: "catalog".to_owned(),
                action: "*",
            }];
        }
        Route::Base | Route::Token => return Vec::new(),
    };
    let mut needed = vec![Access::repository(name, "pull")];
    let upload = matches!(endpoint, Endpoint::Uploads | Endpoint::Upload(_));
    match request.method {
        Method::DELETE if !upload => needed = vec![Access::repository(name, "delete")],
        Method::GET | Method::HEAD if !upload => {}
        _ => needed.push(Access::repository(name, "push")),
    }
    if let (Endpoint::Uploads, Some(from)) = (endpoint, request.query.get("from")) {
        needed.push(Access::repository(from, "pull"));
    }
    needed
}

/// The door of one registry.
pub(in crate::local) struct Door {
    auth: Auth,
    base_url: String,
    tokens: Mutex<HashMap<String, Token>>,
    /// The number of times that the password has expired.
    expired: AtomicU32,
}

struct Token {
    allowed: Vec<String>,
    expires: Instant,
}

impl Door {
    pub(super) fn new(auth: Auth, base_url: String) -> Self {
        Self {
            auth,
            base_url,
            tokens: Mutex::default(),
            expired: AtomicU32::new(0),
        }
    }

    /// User and password, where there are any.
    pub(in crate::local) fn user(&self) -> Option<(&str, Secret)> {
        match &self.auth {
            Auth::None => None,
            Auth::Bearer { user, password, .. } => Some((user, password.clone())),
            Auth::Basic { user, password } => {
                let expired = self.expired.load(Ordering::Relaxed);
                Some((user, nth_password(password, expired)))
            }
        }
    }

    /// Lets what was given so far be good no more.
    pub(super) fn expire(&self) {
        self.expired.fetch_add(1, Ordering::Relaxed);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
    }

    /// Lets a request in or says what it lacks.
    pub(super) fn check(&self, request: &Request, needed: &[Access]) -> Result<(), Refusal> {
        match &self.auth {
            Auth::None => Ok(()),
            Auth::Basic { user, password } => self.check_password(request, user, password),
            Auth::Bearer { .. } => self.check_token(request, needed),
        }
    }

    fn check_password(
        &self,
        request: &Request,
        user: &str,
        password: &Secret,
    ) -> Result<(), Refusal> {
        let expired = self.expired.load(Ordering::Relaxed);
        if is_user(request, user, &nth_password(password, expired)) {
            return Ok(());
        }
        if (0..expired).any(|n| is_user(request, user, &nth_password(password, n))) {
            // ECR's own words.
            let message = "Your authorization token has expired. Reauthenticate and try again.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "DENIED", message));
        }
        let realm = format!(
            "Basic realm=\"{}\",service=\"ecr.amazonaws.com\"",
            self.base_url
        );
        Err(unauthorized("Not Authorized").header(WWW_AUTHENTICATE, realm))
    }

    fn check_token(&self, request: &Request, needed: &[Access]) -> Result<(), Refusal> {
        let error = match self.find_token(request) {
            None => "",
            Some(Err(())) => ",error=\"invalid_token\"",
            Some(Ok(allowed)) => {
                let missing = needed
                    .iter()
                    .find(|need| !allowed.contains(&need.to_string()));
                if missing.is_none() {
                    return Ok(());
                }
                ",error=\"insufficient_scope\""
            }
        };
        let url = &self.base_url;
        let mut challenge = format!("Bearer realm=\"{url}/token\",service=\"longshore-local\"");
        if let Some(scope) = scopes(needed) {
            challenge = format!("{challenge},scope=\"{scope}\"");
        }
        let challenge = format!("{challenge}{error}");
        Err(unauthorized("authentication required").header(WWW_AUTHENTICATE, challenge))
    }

    fn find_token(&self, request: &Request) -> Option<Result<Vec<String>, ()>> {
        let token = request.header(AUTHORIZATION)?.strip_prefix("Bearer ")?;
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let live = tokens
            .get(token)
            .filter(|token| token.expires > Instant::now());
        Some(live.map(|token| token.allowed.clone()).ok_or(()))
    }

    /// Answers the token endpoint.
    pub(super) fn give_token(&self, request: &Request) -> Result<Response, Refusal> {
        let Auth::Bearer {
            user,
            password,
            anonymous_pull,
            lifetime,
        } = &self.auth
        else {
            return Err(Refusal::not_found("NOT_FOUND", "no such endpoint"));
        };
        let known = is_user(request, user, password);
        let claims = request.headers.contains_key(AUTHORIZATION);
        if !known && (claims || !anonymous_pull) {
            return Err(unauthorized("incorrect username or password"));
        }
        let allowed = request
            .query
            .all("scope")
            .flat_map(str::split_whitespace)
            .flat_map(single_actions)
            .filter(|scope| known || scope.ends_with(":pull"))
            .collect();
        Ok(self.new_token(allowed, *lifetime))
    }

    fn new_token(&self, allowed: Vec<String>, lifetime: Duration) -> Response {
        let text = random_name();
        let token = Token {
            allowed,
            expires: Instant::now() + lifetime,
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.expires > Instant::now());
        tokens.insert(text.clone(), token);
        let body = json!({"token": text, "access_token": text, "expires_in": lifetime.as_secs()});
        typed(StatusCode::OK, "application/json", body.to_string())
    }
}

fn unauthorized(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

/// The password after it has expired so often.
fn nth_password(password: &Secret, expired: u32) -> Secret {
    match expired {
        0 => password.clone(),
        _ => Secret::new(format!("{}-{expired}", password.expose())),
    }
}

fn is_user(request: &Request, user: &str, password: &Secret) -> bool {
    let expected = STANDARD.encode(format!("{user}:{}", password.expose()));
    let given = request.header(AUTHORIZATION);
    given.and_then(|given| given.strip_prefix("Basic ")) == Some(&expected)
}

/// The scopes of a challenge: one a resource, its actions joined.
fn scopes(needed: &[Access]) -> Option<String> {
    let mut scopes: Vec<(String, Vec<&str>)> = Vec::new();
    for need in needed {
        let resource = format!("{}:{}", need.kind, need.name);
        match scopes.iter_mut().find(|(known, _)| *known == resource) {
            Some((_, actions)) => actions.push(need.action),
            None => scopes.push((resource, vec![need.action])),
        }
    }
    let scopes = scopes.iter();
    let joined: Vec<_> = scopes
        .map(|(resource, actions)| format!("{resource}:{}", actions.join(",")))
        .collect();
    (!joined.is_empty()).then(|| joined.join(" "))
}

/// `repository:a:pull,push` as two scopes of one action.
fn single_actions(scope: &str) -> Vec<String> {
    let Some((resource, actions)) = scope.rsplit_once(':') else {
        return Vec::new();
    };
    let actions = actions.split(',');
    actions
        .map(|action| format!("{resource}:{action}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_joins_actions_of_one_repository() {
        let needed = [
            Access::repository("a/b", "pull"),
            Access::repository("a/b", "push"),
            Access::repository("c", "pull"),
        ];
        let scope = scopes(&needed).unwrap();
        assert_eq!(scope, "repository:a/b:pull,push repository:c:pull");
        let single: Vec<_> = scope.split(' ').flat_map(single_actions).collect();
        let needed: Vec<_> = needed.iter().map(ToString::to_string).collect();
        assert_eq!(single, needed);
        assert_eq!(scopes(&[]), None);
    }
}

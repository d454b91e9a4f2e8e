//! What the end-to-end tests share: real parts, started and stopped by the test that uses them.

mod docker_registry;
mod moto;
mod process;

pub(crate) use docker_registry::{DockerRegistry, PASSWORD};
pub(crate) use moto::Moto;
pub(crate) use process::output;

//! What the end-to-end tests share: real parts, started and stopped by the test that uses them.

mod archive;
mod bench;
mod cloud;
mod command;
mod contexts;
mod docker_registry;
mod emulator;
mod images;
mod lambda_api;
mod longshore_local;
mod memory_limit;
mod moto;
pub(crate) mod oras;
mod process;
mod runtime_api;
pub(crate) mod skopeo;
mod stack;
mod token_server;
mod workshop;

pub(crate) use archive::Archive;
pub(crate) use bench::{Bench, HOST, image};
pub(crate) use cloud::{Answer, Cloud, ECR};
pub(crate) use command::{longshore, stderr};
pub(crate) use contexts::Contexts;
pub(crate) use docker_registry::{DockerRegistry, OTHER_ACCOUNT, OTHER_PASSWORD, PASSWORD};
pub(crate) use emulator::bootstrap;
pub(crate) use images::Images;
pub(crate) use longshore_local::LongshoreLocal;
pub(crate) use memory_limit::MemoryLimit;
pub(crate) use moto::Moto;
pub(crate) use process::{output, output_of, tool};
pub(crate) use runtime_api::{End, Function};
pub(crate) use stack::Stack;
pub(crate) use token_server::TokenServer;
pub(crate) use workshop::{Workshop, json};

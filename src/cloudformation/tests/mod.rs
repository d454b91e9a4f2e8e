//! The handler as a whole, answering to a real socket.

mod answers;
mod cdk_ecr_deployment;
mod lifecycle;
mod long_work;
mod permissions;
mod secrets;
mod support;

//! The handler as a whole, answering to a real socket.

mod answers;
mod cdk_ecr_deployment;
mod destinations;
mod failed_records;
mod lifecycle;
mod lines;
mod long_work;
mod metrics;
mod mirrors;
mod permissions;
mod rollback;
mod secrets;
mod support;

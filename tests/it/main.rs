//! End-to-end tests, one binary.
//!
//! Those against real parts are ignored by a plain `cargo test`; `scripts/test` installs the
//! parts and runs them too.

mod accounts;
mod allowed_registries;
mod architecture;
mod archive_formats;
mod archive_passes;
mod assets_build;
mod assets_examples;
mod assets_hash;
mod assets_ignore;
mod assets_logins;
mod assets_publish;
mod assets_stage;
mod canaries;
mod command_line;
mod conformance;
mod destinations;
mod docker_config;
mod docs;
mod docs_commands;
mod events;
mod failure_words;
mod faults;
mod file_destinations;
mod graphs;
mod lambda;
mod lambda_dies;
mod lambda_drop_in;
mod lambda_life;
mod lambda_refused;
mod lambda_time;
mod least_privilege;
mod local;
mod look;
mod memory_budget;
mod mirror;
mod mirror_list;
mod one_answer;
mod operations;
mod operators_rules;
mod progress;
mod provider_framework;
mod proxy;
mod pull_policy;
mod real_parts;
mod redeploy;
mod registry_behaviours;
mod registry_client;
mod registry_copies;
mod registry_peers;
mod schema;
mod state_machine;
mod support;
mod web_source;

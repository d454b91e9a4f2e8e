//! The CDK app of the documentation, in each of its languages: `imageUri` is the resource's `Ref`,
//! and `grantPull` is `PullAccess`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Workshop, output, tool};

/// What Node's own types would tell.
const NODE: &str = "declare module 'child_process' {\n  export function execFileSync(\
    file: string, args: string[], options: { encoding: 'utf8' }): string;\n}\n";

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn the_app_of_the_documentation_refers_to_the_resource() {
    let workshop = Workshop::new();
    fs::create_dir(workshop.path("app")).unwrap();
    fs::write(workshop.path("app/Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    let modules = tool("npm/node_modules");
    for (name, text) in [
        ("app.ts", program("typescript")),
        ("app.py", program("python")),
        ("node.d.ts", NODE.to_owned()),
        ("tsconfig.json", typescript(&modules).to_string()),
    ] {
        fs::write(workshop.path(name), text).unwrap();
    }
    run(
        &workshop,
        "node",
        &[&modules.join("typescript/bin/tsc").display().to_string()],
    );
    let hash = workshop.longshore(&["hash", "app"]).stdout;
    let hash = String::from_utf8(hash).unwrap().trim().to_owned();

    let written = synthesised(&workshop, "node", "app.js");
    let python = tool("venv/bin/python").display().to_string();
    assert_eq!(synthesised(&workshop, &python, "app.py"), written);

    let (image, resource) = only(&written, "Custom::ECRImage");
    let properties = &resource["Properties"];
    assert_eq!(
        properties["Source"],
        format!("s3://staging/images/{hash}.tar")
    );
    let (_, task) = only(&written, "AWS::ECS::TaskDefinition");
    let task = &task["Properties"];
    assert_eq!(
        task["ContainerDefinitions"][0]["Image"],
        json!({"Ref": image})
    );
    assert_eq!(
        properties["PullAccess"],
        json!({"Principals": [task["ExecutionRoleArn"]]})
    );
}

/// The page's program in a language.
fn program(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assets.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}

fn typescript(modules: &Path) -> Value {
    json!({
        "files": ["app.ts", "node.d.ts"],
        "compilerOptions": {
            "strict": true,
            "skipLibCheck": true,
            "target": "es2022",
            "module": "commonjs",
            "moduleResolution": "node10",
            "baseUrl": modules,
            "types": [],
        },
    })
}

/// The template that a program writes.
fn synthesised(workshop: &Workshop, interpreter: &str, program: &str) -> Value {
    run(workshop, interpreter, &[program]);
    let out = workshop.path("cdk.out");
    let template = fs::read(out.join("Built.template.json")).unwrap();
    fs::remove_dir_all(out).unwrap();
    serde_json::from_slice(&template).unwrap()
}

fn run(workshop: &Workshop, interpreter: &str, arguments: &[&str]) {
    let programs = Path::new(env!("CARGO_BIN_EXE_longshore")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(interpreter);
    workshop.environment(&mut command);
    command
        .current_dir(workshop.path(""))
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("NODE_PATH", tool("npm/node_modules"))
        .env("CDK_OUTDIR", workshop.path("cdk.out"))
        .env("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "1")
        .args(arguments);
    output(&mut command);
}

/// Name and body of the template's resource of a type, of which there is one.
fn only(template: &Value, kind: &str) -> (String, Value) {
    let resources = template["Resources"].as_object().unwrap();
    let mut found = resources.iter().filter(|(_, one)| one["Type"] == kind);
    let (name, resource) = found.next().unwrap();
    assert!(found.next().is_none(), "several of {kind}");
    (name.clone(), resource.clone())
}

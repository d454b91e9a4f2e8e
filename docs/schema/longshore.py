"""A rule of cfn-lint for Longshore's resources: `cfn-lint --append-rules docs/schema TEMPLATE`."""

import json
import pathlib

from cfnlint.rules.jsonschema.CfnLintJsonSchema import CfnLintJsonSchema

SCHEMAS = {
    f"Custom::{path.stem}": json.loads(path.read_text())
    for path in pathlib.Path(__file__).resolve().parent.glob("*ECR*.json")
}


class LongshoreProperties(CfnLintJsonSchema):
    """Checks properties against the schemas beside this file."""

    id = "E9501"
    shortdesc = "Properties of Longshore's resources"
    description = "The properties of Longshore's resources are those of their schemas"
    tags = ["resources", "longshore"]

    def __init__(self):
        super().__init__([f"Resources/{type}/Properties" for type in SCHEMAS], all_matches=True)

    def validate(self, validator, keywords, instance, schema):
        type = validator.context.path.cfn_path[1]
        yield from super().validate(validator, keywords, instance, SCHEMAS[type])

"""Templates as CloudFormation sees them: transformed by SAM, with parameters and conditions resolved.

What is known only once resources exist (`Ref` and `Fn::GetAtt` of them, the stack's own name,
account and region, exports of other stacks) stays as it is written.
"""

import copy
import logging
import pathlib
import re

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TEMPLATES = ROOT / "template"
NO_VALUE = object()
# What `sam package` writes in the place of paths.
PACKAGED = {"CodeUri": "s3://code/bootstrap.zip", "DefinitionUri": "s3://code/mirror.asl.json"}

# It tells of every transform that nobody published its metrics.
logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)


def load(path):
    """The template in a file, its short forms written out."""
    return yaml_parse(path.read_text())


def render(path, given=None):
    """The template with these parameters (the others have their defaults) as `Rendered`."""
    template = repeated(load(path))
    declared = template.get("Parameters", {})
    parameters = {name: of.get("Default") for name, of in declared.items()} | (given or {})
    missing = [name for name, value in parameters.items() if value is None]
    assert not missing, f"{path.name}: no value for {missing}"
    unknown = set(parameters) - set(declared)
    assert not unknown, f"{path.name}: no parameters {unknown}"
    for name, value in parameters.items():
        check_parameter(name, declared[name], str(value))
    if template.get("Transform") == "AWS::Serverless-2016-10-31":
        template = transform(template, parameters)
    return Rendered(template, declared, parameters)


def repeated(value):
    """What the transform AWS::LanguageExtensions makes of `Fn::ForEach`."""
    if isinstance(value, list):
        return [repeated(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, one in value.items():
        if not key.startswith("Fn::ForEach::"):
            made[key] = repeated(one)
            continue
        name, items, body = one
        for item in items:
            made |= repeated(with_item(body, name, item))
    return made


def with_item(value, name, item):
    if isinstance(value, list):
        return [with_item(one, name, item) for one in value]
    if isinstance(value, dict):
        if value == {"Ref": name}:
            return item
        return {with_item(k, name, item): with_item(v, name, item) for k, v in value.items()}
    return value.replace(f"${{{name}}}", item) if isinstance(value, str) else value


def check_parameter(name, declared, value):
    values = value.split(",") if is_list(declared) else [value]
    for value in values:
        pattern = declared.get("AllowedPattern")
        assert pattern is None or re.fullmatch(pattern, value), f"{name}: {value!r}"
        allowed = [str(one) for one in declared.get("AllowedValues", [value])]
        assert value in allowed, f"{name}: {value!r}"


def is_list(declared):
    return declared["Type"] == "CommaDelimitedList" or declared["Type"].startswith("List<")


def transform(template, parameters):
    """What the transform AWS::Serverless does, by SAM's own code, after `sam package`."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        for name, packaged in PACKAGED.items():
            if isinstance(resource.get("Properties", {}).get(name), str):
                resource["Properties"][name] = packaged
    session = boto3.session.Session(region_name="eu-west-1")
    translator = Translator({}, Parser(), boto_session=session)
    return translator.translate(template, dict(parameters))


class Rendered:
    """A template with its parameters. `template` is the result."""

    def __init__(self, template, declared, parameters):
        self.declared = declared
        self.parameters = parameters
        self.definitions = template.get("Conditions", {})
        self.mappings = template.get("Mappings", {})
        self.conditions = {name: self.holds({"Condition": name}) for name in self.definitions}
        self.refused = list(self.broken_rules(template.get("Rules", {})))
        parts = {
            name: part
            for name, part in template.items()
            if name not in ("Conditions", "Mappings", "Parameters", "Rules", "Metadata", "Transform")
        }
        for name in ("Resources", "Outputs"):
            present = parts.get(name, {}).items()
            parts[name] = {
                key: {k: v for k, v in value.items() if k != "Condition"}
                for key, value in present
                if self.conditions.get(value.get("Condition"), True)
            }
        self.template = self.resolved(parts)
        if not self.template["Outputs"]:
            del self.template["Outputs"]

    def resources(self, kind):
        """The properties of the resources of a type, by their names."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind
        }

    def broken_rules(self, rules):
        for rule in rules.values():
            if "RuleCondition" in rule and not self.holds(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.holds(assertion["Assert"]):
                    yield assertion["AssertDescription"]

    def holds(self, condition):
        [(function, argument)] = condition.items()
        match function:
            case "Condition":
                return self.holds(self.definitions[argument])
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::And":
                return all(map(self.holds, argument))
            case "Fn::Or":
                return any(map(self.holds, argument))
            case "Fn::Equals":
                left, right = map(self.resolved, argument)
                return str(left) == str(right)
            case "Fn::EachMemberEquals":
                return all(one == argument[1] for one in self.resolved(argument[0]))
        raise NotImplementedError(function)

    def resolved(self, value):
        if isinstance(value, list):
            return [one for one in map(self.resolved, value) if one is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref":
                return self.reference(self.resolved(argument))
            if function == "Fn::If":
                condition, then, otherwise = argument
                return self.resolved(then if self.conditions[condition] else otherwise)
            if function == "Fn::Join":
                return self.joined(*self.resolved(argument))
            if function == "Fn::Sub":
                return self.substituted(argument)
            if function == "Fn::FindInMap":
                mapping, first, second = self.resolved(argument)
                return self.mappings[mapping][first][second]
        resolved = {key: self.resolved(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not NO_VALUE}

    def reference(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name not in self.parameters:
            return {"Ref": name}
        value = self.parameters[name]
        if is_list(self.declared[name]):
            return value.split(",")
        return value

    @staticmethod
    def joined(separator, parts):
        if all(isinstance(part, str) for part in parts):
            return separator.join(parts)
        return {"Fn::Join": [separator, parts]}

    def substituted(self, argument):
        if isinstance(argument, list):
            argument, variables = argument
            for name, value in self.resolved(variables).items():
                argument = argument.replace(f"${{{name}}}", value)
        text = self.with_parameters(argument)
        return {"Fn::Sub": text} if "${" in text else text

    def with_parameters(self, text):
        def value(match):
            name = match[1]
            return str(self.parameters[name]) if name in self.parameters else match[0]

        return re.sub(r"\$\{([A-Za-z0-9]+)\}", value, text)


def statements(rendered):
    """Every statement of an identity's policy: its resource's name, and itself."""
    for name, role in rendered.resources("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, one) for one in policy["PolicyDocument"]["Statement"])
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for name, policy in rendered.resources(kind).items():
            yield from ((name, one) for one in policy["PolicyDocument"]["Statement"])


def as_list(value):
    return value if isinstance(value, list) else [value]


def granted(rendered):
    """What is allowed: pairs of an action and a resource, as text."""
    pairs = set()
    for _, statement in statements(rendered):
        if statement["Effect"] == "Allow":
            for action in as_list(statement["Action"]):
                pairs.update((action, shown(one)) for one in as_list(statement["Resource"]))
    return pairs


def shown(resource):
    """A resource in one word."""
    if isinstance(resource, str):
        return resource
    [(function, argument)] = resource.items()
    return ".".join(argument) if isinstance(argument, list) else f"{function}:{argument}"

"""Values for the parameters of the examples that have no default."""

from rendering import load

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"

SAMPLES = {
    "Account": "210987654321",
    "Bucket": "longshore-example",
    "DestinationRepositoryUri": f"{REGISTRY}/replicated/app",
    "DestinationRoleArn": "arn:aws:iam::123456789012:role/replication",
    "ExternalId": "as-agreed-upon",
    "Key": "example-1.0.tar",
    "OtherAccount": "210987654321",
    "ProviderRoleArn": "arn:aws:iam::210987654321:role/longshore-Role-1",
    "RoleArn": "arn:aws:iam::210987654321:role/images",
    "SecurityGroups": "sg-0ccccccc",
    "SourceRepository": "library/busybox",
    "Subnets": "subnet-0aaaaaaa,subnet-0bbbbbbb",
    "Tag": "1.37",
}
# Where one name means another thing.
OF_EXAMPLE = {
    "lambda-function": {"Source": f"{REGISTRY}/library/busybox@sha256:{64 * '0'}"},
}


def sample_parameters(path):
    given = SAMPLES | OF_EXAMPLE.get(path.stem, {})
    declared = load(path).get("Parameters", {})
    return {name: given[name] for name, of in declared.items() if "Default" not in of}

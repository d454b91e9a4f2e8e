"""The same in Python, without what is built."""

import os

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from longshore_cdk import DockerImageName, ECRDeployment, RegistryImage, TarballImage

app = cdk.App()
env = cdk.Environment(account="123456789012", region="eu-west-1")
stack = cdk.Stack(app, "Images", env=env)

tarball = os.path.join(os.path.dirname(os.path.abspath(__file__)), "app.tar")
loaded = TarballImage(stack, "Loaded", tarball_file=tarball, tags=["1.0", "latest"])

copied = RegistryImage(stack, "Copied", image="public.ecr.aws/docker/library/busybox:1.37")

ECRDeployment(
    stack,
    "Deployed",
    src=DockerImageName("public.ecr.aws/docker/library/busybox:1.37"),
    dest=DockerImageName("123456789012.dkr.ecr.eu-west-1.amazonaws.com/deployed:1"),
)

task = ecs.FargateTaskDefinition(stack, "Task")
image = ecs.ContainerImage.from_ecr_repository(loaded.repository, loaded.image_digest)
task.add_container("app", image=image)

cdk.CfnOutput(stack, "copied", value=copied.image_uri)
app.synth()

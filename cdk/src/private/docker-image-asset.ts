import * as cdk from 'aws-cdk-lib';
import { DockerImageAsset, DockerImageAssetProps } from 'aws-cdk-lib/aws-ecr-assets';
import { Construct } from 'constructs';

/**
 * What `DockerImageAsset` makes of its properties: its staged directory and its hash.
 *
 * It is made in an app of its own, with the context and the output directory of the construct's,
 * which is never synthesised: the asset gets into no manifest.
 */
export function dockerImageAsset(scope: Construct, props: DockerImageAssetProps) {
  const app = new cdk.App({
    autoSynth: false,
    analyticsReporting: false,
    outdir: cdk.Stage.of(scope)?.outdir,
    context: scope.node.getAllContext(),
  });
  const collector = new Collector();
  try {
    new DockerImageAsset(new cdk.Stack(app, 'Stack', { synthesizer: collector }), 'Image', props);
  } catch (error) {
    throw new Error(`${scope.node.path}: ${(error as Error).message}`);
  }
  return collector.asset!;
}

class Collector extends cdk.StackSynthesizer {
  public asset?: cdk.DockerImageAssetSource;

  public addFileAsset(): cdk.FileAssetLocation {
    throw new Error('an image has no file assets');
  }

  public addDockerImageAsset(asset: cdk.DockerImageAssetSource): cdk.DockerImageAssetLocation {
    this.asset = asset;
    return { imageUri: 'unused', repositoryName: 'unused' };
  }

  public synthesize(): void {}
}

import { relative, resolve } from 'path';
import * as cdk from 'aws-cdk-lib';
import { DockerCacheOption, DockerImageAssetProps, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { EcrImage, EcrImageOptions } from './ecr-image';
import { ImageSource, ImageSourceConfig } from './image-source';
import { problemOfPlatforms } from './private/checks';
import { dockerImageAsset } from './private/docker-image-asset';

/** Properties of `DockerfileImage`: those of `DockerImageAsset`, and those of every image. */
export interface DockerfileImageProps extends DockerImageAssetProps, EcrImageOptions {
  /**
   * Several platforms, which become one index. In place of `platform`.
   *
   * @default - that of `platform`
   */
  readonly platforms?: Platform[];
}

/**
 * An image from a Dockerfile, in a repository of your own: `DockerImageAsset` without the
 * bootstrap repository.
 *
 * Its archive is a file asset, which `longshore build` makes when the app's assets are published,
 * unless the bucket has it.
 */
export class DockerfileImage extends EcrImage {
  /** The hash of `DockerImageAsset`, which is the image's tag where no other is given. */
  public readonly assetHash: string;

  constructor(scope: Construct, id: string, props: DockerfileImageProps) {
    const { platforms, ...others } = props;
    const source = new DockerfileSource(props);
    super(scope, id, { ...others, source });
    this.assetHash = source.assetHash;
  }
}

class DockerfileSource extends ImageSource {
  public assetHash = '';

  constructor(private readonly props: DockerfileImageProps) {
    super();
  }

  public bind(scope: Construct): ImageSourceConfig {
    const asset = dockerImageAsset(scope, this.assetProps(scope));
    this.assetHash = asset.sourceHash;
    const location = cdk.Stack.of(scope).synthesizer.addFileAsset({
      sourceHash: asset.sourceHash,
      executable: [...inDirectory(scope, asset.directoryName!), ...options(asset, this.props)],
      displayName: this.props.displayName ?? scope.node.path,
    });
    const bucket = s3.Bucket.fromBucketAttributes(scope, 'Bucket', {
      bucketName: location.bucketName,
      encryptionKey: location.kmsKeyArn
        ? kms.Key.fromKeyArn(scope, 'Key', location.kmsKeyArn)
        : undefined,
    });
    const object = ImageSource.fromBucket(bucket, location.objectKey).bind(scope);
    return { ...object, assetHash: asset.sourceHash };
  }

  /** Of several platforms the asset has one name. */
  private assetProps(scope: Construct): DockerImageAssetProps {
    const { platform, platforms, ...others } = this.props;
    const all = platforms ?? (platform ? [platform] : []);
    const exclude = platform && platforms && 'platform and platforms exclude each other';
    const problem = exclude || problemOfPlatforms(all);
    if (problem) {
      throw new Error(`${scope.node.path}: ${problem}`);
    }
    const joined = all.map((one) => one.platform).join(',');
    return { ...others, platform: joined ? Platform.custom(joined) : undefined };
  }
}

// `cdk deploy` runs commands of assets where the app was synthesised, a pipeline in the directory
// of the app's output.
const SCRIPT = [
  'for place in "$1" "$2" "$3"; do',
  'if test -d "$place"; then cd "$place" && shift 3 && exec longshore build . "$@"; fi; done;',
  'echo "longshore-cdk: none of these is here: $1 $2 $3" >&2; exit 1',
].join(' ');

function inDirectory(scope: Construct, directory: string) {
  const stage = cdk.Stage.of(scope);
  const root = (scope.node.root as cdk.Stage).outdir;
  const path = resolve(stage?.outdir ?? '.', directory);
  return ['sh', '-c', SCRIPT, 'longshore-cdk', relative(root, path), relative('.', path), path];
}

/** The options of `longshore build`. What chooses files has been done when they were staged. */
function options(asset: cdk.DockerImageAssetSource, props: DockerfileImageProps): string[] {
  const pairs = (option: string, map: { [name: string]: string } = {}) =>
    Object.entries(map).map(([name, value]) => `${option}=${name}=${value}`);
  const secrets = Object.entries(asset.dockerBuildSecrets ?? {});
  const each = (option: string, values: (string | undefined)[] = []) =>
    values.flatMap((value) => (value === undefined ? [] : [`${option}=${value}`]));
  return [
    ...each('--file', [asset.dockerFile]),
    ...each('--target', [asset.dockerBuildTarget]),
    ...pairs('--build-arg', asset.dockerBuildArgs),
    ...pairs('--build-context', asset.dockerBuildContexts),
    ...secrets.map(([name, source]) => `--build-secret=id=${name},${source}`),
    ...each('--build-ssh', [asset.dockerBuildSsh]),
    ...each('--network', [asset.networkMode]),
    ...each('--platform', asset.platform?.split(',')),
    ...each('--output', asset.dockerOutputs),
    ...each('--extra-hash', [props.extraHash]),
    ...each('--cache-from', asset.dockerCacheFrom?.map(cache)),
    ...each('--cache-to', asset.dockerCacheTo && [cache(asset.dockerCacheTo)]),
    ...(asset.dockerCacheDisabled ? ['--no-cache'] : []),
  ];
}

function cache({ type, params = {} }: DockerCacheOption) {
  return [`type=${type}`, ...Object.entries(params).map(([key, value]) => `${key}=${value}`)].join(',');
}

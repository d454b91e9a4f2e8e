import { statSync } from 'fs';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import * as assets from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { EcrImage, EcrImageOptions } from './ecr-image';
import { ImageSource, ImageSourceConfig } from './image-source';

/** Properties of `TarballImage`. */
export interface TarballImageProps extends EcrImageOptions {
  /** The archive: of `docker save`, or of OCI, compressed or not. */
  readonly tarballFile: string;

  /**
   * The image in an archive of several: a tag that it has there, or `@` and its number from 0.
   *
   * @default - the only one
   */
  readonly selector?: string;

  /**
   * The platforms that are taken of an index. One is that image itself; several are a new index.
   *
   * @default - the image as it is
   */
  readonly platforms?: Platform[];

  /**
   * What the asset is called while it is published.
   *
   * @default - the path of the construct
   */
  readonly displayName?: string;
}

/**
 * An image from a tarball, in a repository of your own: `TarballImageAsset` without Docker and
 * without the bootstrap repository.
 */
export class TarballImage extends EcrImage {
  /** The hash of the tarball, which is the image's tag where no other is given. */
  public readonly assetHash: string;

  constructor(scope: Construct, id: string, props: TarballImageProps) {
    const source = new TarballSource(props);
    super(scope, id, { ...props, source });
    this.assetHash = source.assetHash;
  }
}

class TarballSource extends ImageSource {
  public assetHash = '';

  constructor(private readonly props: TarballImageProps) {
    super();
  }

  public bind(scope: Construct): ImageSourceConfig {
    const { tarballFile, selector, displayName } = this.props;
    if (!statSync(tarballFile, { throwIfNoEntry: false })?.isFile()) {
      throw new Error(`${scope.node.path}: there is no file ${tarballFile}`);
    }
    const asset = new assets.Asset(scope, 'Tarball', {
      path: tarballFile,
      displayName: displayName ?? scope.node.path,
    });
    this.assetHash = asset.assetHash;
    const object = ImageSource.fromBucket(asset.bucket, asset.s3ObjectKey, { selector });
    return { ...object.bind(scope), assetHash: asset.assetHash };
  }
}

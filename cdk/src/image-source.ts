import * as cdk from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import * as permissions from './private/permissions';
import { ecrReference, registryOf, withoutScheme } from './private/reference';

/** Which object, and which image in it. */
export interface ArchiveOptions {
  /**
   * The image in an archive of several: a tag that it has there, or `@` and its number from 0.
   *
   * @default - the only one
   */
  readonly selector?: string;

  /**
   * The object's version.
   *
   * @default - the newest
   */
  readonly versionId?: string;
}

/** What a source is to the deployment. */
export interface ImageSourceConfig {
  /** The property `Source` of the resource. */
  readonly uri: string;

  /**
   * What reading it takes.
   *
   * @default - nothing
   */
  readonly statements?: iam.PolicyStatement[];

  /**
   * The registry's host, or `ecr`, or `any` where a token hides it.
   *
   * @default - it is in no registry
   */
  readonly registry?: string;

  /**
   * The web server's host.
   *
   * @default - it is on no web server
   */
  readonly httpsHost?: string;

  /**
   * The hash of the asset that the source is. It is the image's tag where no other is given.
   *
   * @default - it is no asset
   */
  readonly assetHash?: string;
}

/** Where an image comes from. */
export abstract class ImageSource {
  /**
   * An image in a registry.
   *
   * @param reference such as `public.ecr.aws/docker/library/busybox:1.37`; without a tag or digest
   * it is `latest`
   */
  public static fromRegistry(reference: string): ImageSource {
    return new RegistrySource(reference);
  }

  /**
   * An image in a repository of ECR.
   *
   * @param tagOrDigest `latest` by default
   */
  public static fromEcrRepository(repository: ecr.IRepository, tagOrDigest?: string): ImageSource {
    return new EcrSource(repository, tagOrDigest ?? 'latest');
  }

  /** An archive in a bucket: of `docker save`, or of OCI, compressed or not. */
  public static fromBucket(bucket: s3.IBucket, key: string, options?: ArchiveOptions): ImageSource {
    return new BucketSource(bucket, key, options ?? {});
  }

  /**
   * An archive on a web server that serves ranges.
   *
   * @param url `https://host/path`
   */
  public static fromUrl(url: string): ImageSource {
    return new UrlSource(url);
  }

  /** What the source is to the deployment of a construct. */
  public abstract bind(scope: Construct): ImageSourceConfig;
}

class RegistrySource extends ImageSource {
  constructor(private readonly reference: string) {
    super();
  }

  public bind(scope: Construct): ImageSourceConfig {
    const uri = withoutScheme(this.reference);
    if (/^(s3|https?):\/\//.test(uri) || uri.trim() !== uri || uri === '') {
      const path = scope.node.path;
      throw new Error(`${path}: expected the reference of an image, got ${JSON.stringify(uri)}`);
    }
    const known = ecrReference(scope, uri);
    const statements = known && [permissions.pull(known.arn), permissions.token(known.region)];
    return { uri, statements, registry: registryOf(scope, uri) ?? 'any' };
  }
}

class EcrSource extends ImageSource {
  constructor(
    private readonly repository: ecr.IRepository,
    private readonly tagOrDigest: string,
  ) {
    super();
  }

  public bind(): ImageSourceConfig {
    const { repository } = this;
    return {
      uri: repository.repositoryUriForTagOrDigest(this.tagOrDigest),
      statements: [
        permissions.pull(repository.repositoryArn),
        permissions.token(repository.env.region),
      ],
      registry: 'ecr',
    };
  }
}

class BucketSource extends ImageSource {
  constructor(
    private readonly bucket: s3.IBucket,
    private readonly key: string,
    private readonly options: ArchiveOptions,
  ) {
    super();
  }

  public bind(): ImageSourceConfig {
    const { bucket, key } = this;
    const { selector, versionId } = this.options;
    const statements = [permissions.readObject(bucket.arnForObjects(key), versionId !== undefined)];
    if (bucket.encryptionKey) {
      statements.push(permissions.decrypt(bucket.encryptionKey.keyArn, 's3'));
    }
    const version = versionId === undefined ? '' : `?versionId=${versionId}`;
    const image = selector === undefined ? '' : `#${escaped(selector, encodeURI)}`;
    const path = escaped(key, (text) => text.split('/').map(encodeURIComponent).join('/'));
    return { uri: `s3://${bucket.bucketName}/${path}${version}${image}`, statements };
  }
}

class UrlSource extends ImageSource {
  constructor(private readonly url: string) {
    super();
  }

  public bind(scope: Construct): ImageSourceConfig {
    const host = /^https:\/\/([^/?#]+)\/./.exec(this.url)?.[1];
    if (host !== undefined && !cdk.Token.isUnresolved(host)) {
      return { uri: this.url, httpsHost: host };
    }
    throw new Error(`${scope.node.path}: expected https://host/path, got ${JSON.stringify(this.url)}`);
  }
}

function escaped(text: string, escape: (text: string) => string) {
  return cdk.Token.isUnresolved(text) ? text : escape(text);
}

import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { Construct } from 'constructs';
import { EcrImage, EcrImageOptions } from './ecr-image';
import { ImageSource } from './image-source';

/** Properties of `RegistryImage`. */
export interface RegistryImageProps extends EcrImageOptions {
  /** The image, such as `public.ecr.aws/docker/library/busybox:1.37`. */
  readonly image: string;

  /**
   * The platforms that are copied of an index. One is that image itself; several are a new index.
   *
   * @default - the image as it is, under its own digest
   */
  readonly platforms?: Platform[];
}

/** A copy of an image of any registry in a repository of ECR. */
export class RegistryImage extends EcrImage {
  constructor(scope: Construct, id: string, props: RegistryImageProps) {
    super(scope, id, { ...props, source: ImageSource.fromRegistry(props.image) });
  }
}

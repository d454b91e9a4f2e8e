import * as cdk from 'aws-cdk-lib';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'wasi', 'windows'];
const ARCHITECTURES = [
  '386',
  'amd64',
  'arm',
  'arm64',
  'loong64',
  'mips64le',
  'ppc64le',
  'riscv64',
  's390x',
  'wasm',
];
const PLATFORM = /^(?<system>[^/()]+)(\([^()]+\))?\/(?<architecture>[^/]+)(\/[^/]+)?$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** What is wrong with platforms, `undefined` for nothing. */
export function problemOfPlatforms(platforms: Platform[] = []): string | undefined {
  return first(platforms.map((one) => one.platform), (platform) => {
    const { system, architecture } = PLATFORM.exec(platform)?.groups ?? {};
    const isKnown = SYSTEMS.includes(system) && ARCHITECTURES.includes(architecture);
    const name = JSON.stringify(platform);
    return isKnown ? undefined : `${name} is no known platform: expected one such as linux/arm64`;
  });
}

/** What is wrong with tags, `undefined` for nothing. */
export function problemOfTags(tags: string[] = []): string | undefined {
  return first(tags, (tag) =>
    TAG.test(tag) ? undefined : `${JSON.stringify(tag)} is no tag of an image`,
  );
}

/** What is wrong with a number, `undefined` for nothing. */
export function problemOfNumber(name: string, number: number | undefined, most: number) {
  if (number === undefined || cdk.Token.isUnresolved(number)) {
    return undefined;
  }
  const isGood = Number.isInteger(number) && number >= 1 && number <= most;
  return isGood ? undefined : `${name}: expected a whole number from 1 to ${most}, got ${number}`;
}

function first(values: string[], check: (value: string) => string | undefined) {
  const known = values.filter((value) => !cdk.Token.isUnresolved(value));
  return known.map(check).find((problem) => problem !== undefined);
}

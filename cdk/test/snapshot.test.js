// The template of one app, so that a change of what is deployed is seen.
// LONGSHORE_WRITE_SNAPSHOT=1 npm test writes it anew.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Template } = require('aws-cdk-lib/assertions');
const { readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { RegistryImage } = require('..');
const { newStack } = require('./support');

const SNAPSHOT = join(__dirname, 'snapshot.json');

test('a stack with one image is what it was', () => {
  const stack = newStack();
  const image = 'public.ecr.aws/docker/library/busybox:1.37';
  new RegistryImage(stack, 'Image', { image, tags: ['1.37'] });
  const text = JSON.stringify(Template.fromStack(stack).toJSON(), null, 1);
  // The program is another one with each build.
  const made = `${text.replace(/[0-9a-f]{64}/g, '<hash>')}\n`;
  if (process.env.LONGSHORE_WRITE_SNAPSHOT) {
    writeFileSync(SNAPSHOT, made);
  }
  assert.equal(made, readFileSync(SNAPSHOT, 'utf8'));
});

// Writes `tests/fixtures/assets/tarball-commands.json`: the command that `TarballImageAsset` makes,
// in the newest patch of every minor version of CDK that npm has.
//
// Versions that are in the file already are not asked for again: remove it to begin anew. A package
// is some 30 MB, is downloaded by npm and is deleted at once.
//
// The construct's own code runs, with stand-ins for what it uses of other modules.
const { execFileSync, spawnSync } = require('child_process');
const fs = require('fs');
const { tmpdir } = require('os');
const path = require('path');

const RESULTS = path.join(__dirname, '../fixtures/assets/tarball-commands.json');
const PACKAGES = {
  '@aws-cdk/aws-ecr-assets': { major: 1, file: 'lib/tarball-asset.js' },
  'aws-cdk-lib': { major: 2, file: 'aws-ecr-assets/lib/tarball-asset.js' },
};
// A staged tarball and Docker; one of the app where staging is disabled, and another program.
const CASES = [
  { tarball: 'asset.0123.tar' },
  { tarball: '../my images/app.tar', program: '/opt/my tools/podman' },
];
const OUT = '/app/cdk.out';

function npm(...args) {
  return execFileSync('npm', args, { encoding: 'utf8', maxBuffer: 1 << 26 });
}

function newestPatches(name, major) {
  const newest = new Map();
  for (const version of JSON.parse(npm('view', name, 'versions', '--json'))) {
    const [, ofMajor, minor, patch] = version.match(/^(\d+)\.(\d+)\.(\d+)$/) ?? [];
    if (Number(ofMajor) === major && !(newest.get(Number(minor)) > Number(patch))) {
      newest.set(Number(minor), Number(patch));
    }
  }
  const byMinor = [...newest].sort(([a], [b]) => a - b);
  return byMinor.map(([minor, patch]) => `${major}.${minor}.${patch}`);
}

// The construct's code, or nothing where the version has no such construct.
function codeOf(name, version, file) {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'tarball-commands-'));
  try {
    const cache = path.join(folder, 'cache');
    npm('pack', '--silent', '--pack-destination', folder, '--cache', cache, `${name}@${version}`);
    const archive = fs.readdirSync(folder).find((entry) => entry.endsWith('.tgz'));
    const args = ['xzOf', path.join(folder, archive), `package/${file}`];
    const { status, stdout, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
    if (stderr.includes('Not found in archive')) return undefined;
    if (status !== 0) throw new Error(stderr);
    return stdout;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

// What answers to every use.
const anything = new Proxy(function () {}, {
  get: (_, name) => (name === Symbol.toPrimitive ? () => 'anything' : anything),
  apply: () => anything,
  construct: () => anything,
});

function commandOf(code, { tarball, program }) {
  let executable;
  const addDockerImageAsset = (asset) => {
    executable = asset.executable;
    return { repositoryName: 'assets', imageUri: 'assets:0123' };
  };
  const staged = path.join(OUT, tarball);
  const known = {
    Construct: class {},
    AssetStaging: class {
      assetHash = '0123';
      absoluteStagedPath = staged;
    },
    Stage: { of: () => ({ assetOutdir: OUT }) },
    Stack: { of: () => ({ synthesizer: { addDockerImageAsset } }) },
  };
  const standIn = new Proxy(known, { get: (_, name) => known[name] ?? anything });
  const modules = { fs: { existsSync: () => true }, path };
  const exported = {};
  delete process.env.CDK_DOCKER;
  if (program) process.env.CDK_DOCKER = program;
  new Function('exports', 'require', code)(exported, (name) => modules[name] ?? standIn);
  new exported.TarballImageAsset({}, 'Image', { tarballFile: staged });
  return { tarball, program, executable };
}

function read() {
  return fs.existsSync(RESULTS) ? JSON.parse(fs.readFileSync(RESULTS, 'utf8')) : [];
}

function write(forms) {
  fs.writeFileSync(RESULTS, `[\n${forms.map((form) => JSON.stringify(form)).join(',\n')}\n]\n`);
}

function add(forms, name, version, commands) {
  const same = (form) => JSON.stringify(form.commands) === JSON.stringify(commands);
  let form = forms.find(same);
  if (!form) {
    form = { commands, versions: {} };
    forms.push(form);
  }
  (form.versions[name] ??= []).push(version);
}

let failed = false;
for (const [name, { major, file }] of Object.entries(PACKAGES)) {
  for (const version of newestPatches(name, major)) {
    const forms = read();
    if (forms.some((form) => form.versions[name]?.includes(version))) continue;
    try {
      const code = codeOf(name, version, file);
      const commands = code ? CASES.map((each) => commandOf(code, each)) : [];
      // Undefined members are not written: compare what is.
      add(forms, name, version, JSON.parse(JSON.stringify(commands)));
      write(forms);
      console.error(`${name} ${version}`);
    } catch (error) {
      console.error(`${name} ${version}: ${error.message}`);
      failed = true;
    }
  }
}
process.exitCode = failed ? 1 : 0;

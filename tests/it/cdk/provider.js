// Runs the provider framework of `aws-cdk-lib` on the event on stdin, as Lambda runs its function:
//   node provider.js <URL that invokes the user's function> <port of the ResponseURL>
// All of it is the framework's own code. What it finds in Lambda beside itself is here: the SDK,
// whose client invokes the function at the URL, and HTTPS, which is HTTP on that port.
const http = require('http');
const https = require('https');
const Module = require('module');
const { readFileSync } = require('fs');
const { join } = require('path');

const [functionUrl, port] = process.argv.slice(2);
const USER_FUNCTION = 'arn:aws:lambda:us-east-1:012345678912:function:test_function';

class Lambda {
  async invoke({ FunctionName, Payload }) {
    if (FunctionName !== USER_FUNCTION) throw new Error(`there is no ${FunctionName}`);
    const response = await fetch(functionUrl, { method: 'POST', body: Payload });
    const text = await response.text();
    // Lambda's own mark of a function that failed; the emulator answers the error alone.
    const failed = text && JSON.parse(text)?.errorType !== undefined;
    return {
      StatusCode: 200,
      FunctionError: failed ? 'Unhandled' : undefined,
      Payload: new TextEncoder().encode(text),
    };
  }
}

const sdk = { '@aws-sdk/client-lambda': { Lambda }, '@aws-sdk/client-sfn': {} };
const load = Module._load;
Module._load = (name, ...rest) => sdk[name] ?? load(name, ...rest);
https.request = (options, done) => http.request({ ...options, port }, done);

process.env.USER_ON_EVENT_FUNCTION_ARN = USER_FUNCTION;
const runtime = 'aws-cdk-lib/custom-resources/lib/provider-framework/runtime/framework.js';
const { onEvent } = require(join(process.env.NODE_PATH, runtime));

onEvent(JSON.parse(readFileSync(0, 'utf8')));

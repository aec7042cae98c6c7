// The release's template as a stack of a CDK application; its zips become the application's assets.
//
// usage: PACKAGES=<folder of the release> npx cdk deploy --app 'node app.mjs'; without cdk, `node app.mjs` shows whether
// it can be made

import { join } from 'node:path';

import { App, Stack } from 'aws-cdk-lib';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';

const packages = process.env.PACKAGES ?? '.';
const app = new App();
const stack = new Stack(app, 'spot-drill');
// Logical ids stay as they are, and so a stack that SAM deployed can be taken over.
const template = new CfnInclude(stack, 'Template', {
  templateFile: join(packages, 'template-arm64.yaml'),
  parameters: { Mode: 'preview' },
});

for (const id of ['StartExperiment', 'RecordInterruption', 'WriteReport', 'SubmitStep']) {
  const lambda = template.getResource(id);
  const zip = new Asset(stack, `${id}Zip`, { path: join(packages, lambda.codeUri) });
  lambda.codeUri = { bucket: zip.s3BucketName, key: zip.s3ObjectKey };
  if (lambda.eventInvokeConfig) {
    // aws-cdk-lib takes a destination of failures alone for an error; SAM does not. An override is not looked at.
    const { destinationConfig, ...others } = lambda.eventInvokeConfig;
    lambda.eventInvokeConfig = others;
    for (const [when, { type, destination }] of Object.entries(destinationConfig)) {
      const path = `EventInvokeConfig.DestinationConfig.${when === 'onSuccess' ? 'OnSuccess' : 'OnFailure'}`;
      lambda.addPropertyOverride(path, { Type: type, Destination: destination });
    }
  }
}
app.synth();

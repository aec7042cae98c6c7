// record-interruption's two calls with AWS SDK for JavaScript v3, on the smallest client of Lambda's Runtime API that
// works. The clients are made before the first event; the SDK connects with the first call.

import http from "node:http";
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { DescribeInstancesCommand, EC2Client } from "@aws-sdk/client-ec2";

const ec2 = new EC2Client({});
const dynamodb = new DynamoDBClient({});

async function handle(event) {
  const warnings = event.Records.map((record) => JSON.parse(record.body));
  const ids = warnings.map((warning) => warning.detail["instance-id"]);
  const answer = await ec2.send(new DescribeInstancesCommand({ Filters: [{ Name: "instance-id", Values: ids }] }));
  const instances = answer.Reservations.flatMap((reservation) => reservation.Instances);
  for (const warning of warnings) {
    const instance = instances.find((one) => one.InstanceId === warning.detail["instance-id"]);
    const cluster = instance.Tags.find((tag) => tag.Key === "aws:elasticmapreduce:job-flow-id").Value;
    await dynamodb.send(
      new UpdateItemCommand({
        TableName: process.env.TABLE_NAME,
        Key: { pk: { S: `cluster#${cluster}` }, sk: { S: `interruption#${instance.InstanceId}#${warning.time}` } },
        UpdateExpression: "SET #a0 = if_not_exists(#a0, :a0), #a1 = if_not_exists(#a1, :a1) ADD seen :one",
        ExpressionAttributeNames: { "#a0": "noticed_at", "#a1": "instance_type" },
        ExpressionAttributeValues: {
          ":a0": { S: warning.time },
          ":a1": { S: instance.InstanceType },
          ":one": { N: "1" },
        },
      }),
    );
  }
  return { batchItemFailures: [] };
}

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function serve() {
  for (;;) {
    const { headers, body } = await ask("GET", "/2018-06-01/runtime/invocation/next");
    const answer = await handle(JSON.parse(body));
    const id = headers["lambda-runtime-aws-request-id"];
    await ask("POST", `/2018-06-01/runtime/invocation/${id}/response`, JSON.stringify(answer));
  }
}

serve();

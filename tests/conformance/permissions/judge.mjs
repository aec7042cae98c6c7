// Holds the template's policies against IAM as somebody else implements it: everything that the stories' calls ask must be
// allowed, but for what the simulated account refused too, and everything in planted.mjs denied.
//
// usage: node judge.mjs <folder with node_modules> <file that tests/tests/permissions.rs wrote> <file for the decisions>
//
// The decisions are those on what no story asks of a role, for tests/tests/permissions.rs to hold the account's evaluator
// against. Prints "ok …" and "not ok …" for each role or service, and a table.

import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { ACCOUNT, allowed, denied, elsewhere } from './planted.mjs'

const [modules, file, decisionsFile] = process.argv.slice(2)
const { runSimulation } = createRequire(path.resolve(modules, 'here.cjs'))('@cloud-copilot/iam-simulate')
const { policies, deployments } = JSON.parse(readFileSync(file, 'utf8'))

const of = (kind) => Object.values(policies).filter((policy) => policy.kind === kind)
const list = (value) => (Array.isArray(value) ? value : [value])

// The statement that Lambda adds to a function's policy for a permission.
// https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
function permission({ properties }) {
  const condition = {}
  if (properties.SourceArn) condition.ArnLike = { 'AWS:SourceArn': properties.SourceArn }
  if (properties.SourceAccount) condition.StringEquals = { 'AWS:SourceAccount': properties.SourceAccount }
  return {
    Effect: 'Allow',
    Principal: { Service: properties.Principal },
    Action: properties.Action,
    Resource: `arn:aws:lambda:us-sim-1:${ACCOUNT}:function:${properties.FunctionName}`,
    Condition: condition
  }
}

// All statements that lie with resources, whoever has them: each names its own.
const statements = [
  // A KMS key's policy must name the account, or its roles' policies count for nothing.
  // https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
  { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: `arn:aws:kms:us-sim-1:${ACCOUNT}:key/*` },
  ...of('AWS::SQS::QueuePolicy').flatMap(({ properties }) => properties.PolicyDocument.Statement),
  ...of('AWS::S3::BucketPolicy').flatMap(({ properties }) => properties.PolicyDocument.Statement),
  ...of('AWS::Logs::ResourcePolicy').flatMap(({ properties }) => JSON.parse(properties.PolicyDocument).Statement),
  ...of('AWS::Lambda::Permission').map(permission)
]

// A resource's own policy: what of the statements is about it, or the role's trust.
function resourcePolicy({ action, resource }) {
  if (action === 'sts:AssumeRole') return policies[resource.split('/spot-drill-')[1]]?.properties.AssumeRolePolicyDocument
  const begins = (named) => resource.startsWith(named.replace(/[*]$/, ''))
  const own = statements.filter((statement) => list(statement.Resource).some(begins))
  return own.length > 0 ? { Version: '2012-10-17', Statement: own } : undefined
}

async function decide(who, question, deployed = policies) {
  const role = deployed[who]
  const context = question.resource.startsWith('arn:aws:s3:::') ? { 'aws:SecureTransport': 'true' } : {}
  const answer = await runSimulation({
    request: {
      principal: role ? `arn:aws:iam::${ACCOUNT}:role/${role.name}` : who,
      action: question.action,
      resource: { resource: question.resource, accountId: question.resource.split(':')[4] || ACCOUNT },
      contextVariables: { ...context, ...question.context }
    },
    identityPolicies: (role?.properties.Policies ?? []).map((one) => ({ name: one.PolicyName, policy: one.PolicyDocument })),
    resourcePolicy: resourcePolicy(question),
    serviceControlPolicies: [],
    resourceControlPolicies: []
  }, {})
  if (answer.resultType === 'error') throw new Error(`${JSON.stringify(question)}: ${JSON.stringify(answer.errors)}`)
  // A key that the action has not, by the Service Authorization Reference, is one that a condition would wait for in vain.
  const results = answer.resultType === 'single' ? [answer.result] : answer.results
  const ignored = results.flatMap((result) => result.ignoredContextKeys ?? [])
  return { verdict: answer.overallResult, ignored: [...new Set(ignored)] }
}

const rows = {}
const row = (who) => (rows[who] ??= { calls: 0, allowed: 0, refused: 0, planted: 0, denied: 0, wrong: [] })
const decisions = []

// The account and this must decide alike.
async function mustAgree(who, deployed, { allowed: ours, ...question }) {
  const { verdict, ignored } = await decide(who, question, deployed)
  const into = row(who)
  into.calls += 1
  const foreign = ignored.filter((key) => !/ResourceTag|RequestTag/.test(key))
  if ((verdict === 'Allowed') !== ours) into.wrong.push(`${verdict}, and the account decided ${ours ? 'Allowed' : 'otherwise'}: ${JSON.stringify(question)}`)
  else if (foreign.length > 0) into.wrong.push(`${foreign.join(' ')}: ${JSON.stringify(question)}`)
  else into[ours ? 'allowed' : 'refused'] += 1
}

function keep(who, question, verdict) {
  if (policies[who]) decisions.push({ role: who, ...question, allowed: verdict === 'Allowed' })
}

async function mustBeAllowed(who, question) {
  const { verdict, ignored } = await decide(who, question)
  keep(who, question, verdict)
  const into = row(who)
  into.calls += 1
  const foreign = ignored.filter((key) => !/ResourceTag|RequestTag/.test(key))
  if (verdict === 'Allowed' && foreign.length === 0) into.allowed += 1
  else into.wrong.push(`${verdict}, ${foreign.join(' ') || 'but needed'}: ${JSON.stringify(question)}`)
}

async function mustBeDenied(who, why, question) {
  const { verdict } = await decide(who, question)
  keep(who, question, verdict)
  const into = row(who)
  into.planted += 1
  if (verdict === 'ImplicitlyDenied' || verdict === 'ExplicitlyDenied') into.denied += 1
  else into.wrong.push(`${verdict}, though ${why}: ${JSON.stringify(question)}`)
}

for (const deployment of deployments) {
  for (const [who, questions] of Object.entries(deployment.asked)) {
    for (const question of questions) {
      await mustAgree(who, deployment.policies, question)
      if (question.allowed) for (const [why, other] of elsewhere(question)) await mustBeDenied(who, why, other)
    }
  }
}
for (const [who, ...question] of allowed(policies)) {
  const [action, resource, context = {}] = question
  await mustBeAllowed(who, { action, resource, context })
}
for (const [who, why, action, resource, context = {}] of denied(policies)) await mustBeDenied(who, why, { action, resource, context })

if (decisionsFile) writeFileSync(decisionsFile, JSON.stringify(decisions))

const columns = ['calls', 'allowed', 'refused', 'planted', 'denied']
const line = (name, cells) => console.log('   ' + name.padEnd(42) + cells.map((cell) => String(cell).padStart(9)).join(''))
line('', columns)
const total = Object.fromEntries(columns.map((column) => [column, 0]))
for (const [who, one] of Object.entries(rows)) {
  line(who, columns.map((column) => one[column]))
  for (const column of columns) total[column] += one[column]
}
line('all', columns.map((column) => total[column]))
for (const [who, { calls, planted, wrong }] of Object.entries(rows)) {
  if (wrong.length === 0) console.log(`ok ${who}: ${calls} calls, ${planted} planted`)
  for (const one of wrong.slice(0, 20)) console.log(`not ok ${who}: ${one}`)
}
process.exitCode = Object.values(rows).some(({ wrong }) => wrong.length > 0) ? 1 : 0

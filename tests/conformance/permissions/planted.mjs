// Requests that nobody makes: those that services make in the deployment's name and that must be allowed, and those that
// must be denied, each with the reason.
//
// Apart from the judge, because this is what is judged, and that is how.

export const ACCOUNT = '000000000000'
const OTHER = '111122223333'
const arn = (service, resource, account = ACCOUNT) => `arn:aws:${service}:us-sim-1:${account}:${resource}`
const name = (id) => `spot-drill-${id}`
const role = (id) => `arn:aws:iam::${ACCOUNT}:role/${name(id)}`
const rule = (id, account) => arn('events', `rule/${name(id)}`, account)
const invoked = (id) => arn('lambda', `function:${name(id)}`)
const queue = (id) => arn('sqs', name(id))
const ledger = arn('dynamodb', 'table/spot-drill-Ledger')
const experiments = arn('fis', 'experiment/*')
const template = arn('fis', 'experiment-template/EXT1k2KyqYsKFFv8')
const data = 'arn:aws:s3:::emr-spot-workshop-data'

const EVENTS = 'events.amazonaws.com'
const LOGS = 'delivery.logs.amazonaws.com'
const INTERRUPT = 'ec2:SendSpotInstanceInterruptions'
const FUNCTIONS = ['StartExperiment', 'RecordInterruption', 'WriteReport', 'SubmitStep']
const ROLE_TAG = 'aws:ResourceTag/aws:elasticmapreduce:instance-group-role'
const victim = { [ROLE_TAG]: 'TASK', 'aws:ResourceTag/spot-drill': 'on', 'ec2:InstanceMarketType': 'spot' }
const stream = arn('logs', 'log-group:/aws/events/spotinterruptions:log-stream:one')
const without = (key) => Object.fromEntries(Object.entries(victim).filter(([name]) => name !== key))

// What EventBridge tells of itself. To Lambda, no account.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html#eb-lam-function-not-invoked
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions
const toLambda = (id, account) => ({ 'aws:SourceArn': rule(id, account) })
const toQueue = (id, account = ACCOUNT) => ({ 'aws:SourceArn': rule(id, account), 'aws:SourceAccount': account })

// [who, action, resource, context]: what services do in the name of the stack's roles and rules.
export function allowed(policies) {
  const roles = FUNCTIONS.flatMap((id) => [
    [`${id}Role`, 'logs:CreateLogStream', arn('logs', `log-group:/aws/lambda/${name(id)}:log-stream:one`)],
    [`${id}Role`, 'logs:PutLogEvents', arn('logs', `log-group:/aws/lambda/${name(id)}:log-stream:one`)],
    ['lambda.amazonaws.com', 'sts:AssumeRole', role(`${id}Role`)]
  ])
  const failures = ['StartExperiment', 'WriteReport', 'SubmitStep'].map((id) => [
    `${id}Role`, 'sqs:SendMessage', queue('DeadLetterQueue')
  ])
  const polling = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'].map((action) => [
    'RecordInterruptionRole', action, queue('WarningQueue')
  ])
  const decrypting = { 'kms:ViaService': 's3.us-sim-1.amazonaws.com' }
  return [
    ...roles,
    ...failures,
    ...polling,
    ['WriteReportRole', 'sns:Publish', arn('sns', 'spot-drill-Verdicts')],
    ['WriteReportRole', 's3:ListBucket', 'arn:aws:s3:::history', { 's3:prefix': 'spark/' }],
    ['WriteReportRole', 's3:GetObject', 'arn:aws:s3:::history/spark/application_1_0001'],
    ['WriteReportRole', 's3:ListBucket', 'arn:aws:s3:::baseline', { 's3:prefix': 'results/' }],
    ['WriteReportRole', 's3:ListBucket', 'arn:aws:s3:::lake', { 's3:prefix': 'daily/' }],
    ['WriteReportRole', 's3:ListBucket', 'arn:aws:s3:::warehouse', { 's3:prefix': 'daily/' }],
    ['WriteReportRole', 'kms:Decrypt', arn('kms', 'key/logs'), decrypting],
    ['StartExperimentRole', 'fis:StopExperiment', arn('fis', 'experiment/EXP1'), { 'aws:ResourceTag/spot-drill:step': 's-1' }],
    ['WriteReportRole', 'fis:ListExperiments', '*'],
    [EVENTS, 'lambda:InvokeFunction', invoked('StartExperiment'), toLambda('StepStarted')],
    [EVENTS, 'lambda:InvokeFunction', invoked('WriteReport'), toLambda('StepEnded')],
    [EVENTS, 'sqs:SendMessage', queue('WarningQueue'), toQueue('SpotInterruptionWarning')],
    ...['StepStarted', 'StepEnded', 'SpotInterruptionWarning'].map((id) => [
      EVENTS, 'sqs:SendMessage', queue('DeadLetterQueue'), toQueue(id)
    ]),
    [EVENTS, 'logs:CreateLogStream', stream],
    [EVENTS, 'logs:PutLogEvents', stream, { 'aws:SourceArn': rule('SpotEventsToLog') }],
    [LOGS, 'logs:CreateLogStream', stream],
    ['ExperimentRole', 'ec2:DescribeInstances', '*', { 'ec2:Region': 'us-sim-1' }],
    ...['logs:CreateLogDelivery', 'logs:PutResourcePolicy', 'logs:DescribeResourcePolicies'].map((action) => [
      'ExperimentRole', action, '*'
    ]),
    ['fis.amazonaws.com', 'sts:AssumeRole', role('ExperimentRole'), {
      'aws:SourceAccount': ACCOUNT, 'aws:SourceArn': arn('fis', 'experiment/EXP1')
    }],
    ['scheduler.amazonaws.com', 'sts:AssumeRole', role('ScheduleRole'), {
      'aws:SourceAccount': ACCOUNT, 'aws:SourceArn': arn('scheduler', 'schedule-group/spot-drill')
    }],
    ['ScheduleRole', 'lambda:InvokeFunction', invoked('WriteReport')],
    ['ScheduleRole', 'lambda:InvokeFunction', invoked('SubmitStep')],
    ['ScheduleRole', 'sqs:SendMessage', queue('DeadLetterQueue')]
  ].filter(([who]) => !who.endsWith('Role') || policies[who])
}

// [who, why, action, resource, context]
export function denied(policies) {
  const instance = arn('ec2', 'instance/i-0123456789abcdef0')
  const ours = { 'aws:ResourceTag/spot-drill:step': 's-1', 'aws:RequestTag/spot-drill:step': 's-1' }
  return [
    ['ExperimentRole', 'it is On-Demand', INTERRUPT, instance, { ...victim, 'ec2:InstanceMarketType': 'on-demand' }],
    ['ExperimentRole', 'it is a core node', INTERRUPT, instance, { ...victim, [ROLE_TAG]: 'CORE' }],
    ['ExperimentRole', 'it is the primary node', INTERRUPT, instance, { ...victim, [ROLE_TAG]: 'MASTER' }],
    ['ExperimentRole', 'it has no tag of EMR', INTERRUPT, instance, without(ROLE_TAG)],
    ['ExperimentRole', 'its cluster is not opted in', INTERRUPT, instance, without('aws:ResourceTag/spot-drill')],
    ['ExperimentRole', 'its cluster says no', INTERRUPT, instance, { ...victim, 'aws:ResourceTag/spot-drill': 'off' }],
    ['ExperimentRole', 'it has no tags at all', INTERRUPT, instance, { 'ec2:InstanceMarketType': 'spot' }],
    ['ExperimentRole', 'it is another Region', INTERRUPT, instance.replace('us-sim-1', 'eu-west-1'), victim],
    ['ExperimentRole', 'that is no interruption', 'ec2:TerminateInstances', instance, victim],

    ['StartExperimentRole', "the template has no drill's tag", 'fis:StartExperiment', template, {
      'aws:ResourceTag/Name': 'spot-drill', 'aws:RequestTag/spot-drill:step': 's-1'
    }],
    ['StartExperimentRole', 'the template is of somebody else', 'fis:StartExperiment', arn('fis', 'experiment-template/EXT2'), {
      'aws:ResourceTag/owner': 'them', 'aws:RequestTag/spot-drill:step': 's-1'
    }],
    ['StartExperimentRole', "the experiment gets no drill's tag", 'fis:StartExperiment', experiments, {}],
    ['StartExperimentRole', 'the experiment gets another tag', 'fis:StartExperiment', experiments, {
      'aws:RequestTag/owner': 'them', 'aws:TagKeys': ['owner']
    }],
    ['StartExperimentRole', "the experiment is somebody else's", 'fis:StopExperiment', arn('fis', 'experiment/EXP2'), {
      'aws:ResourceTag/owner': 'them'
    }],
    ['StartExperimentRole', 'templates are never changed', 'fis:UpdateExperimentTemplate', template, ours],
    ['StartExperimentRole', "the stack's template stays", 'fis:DeleteExperimentTemplate', template, {
      'aws:ResourceTag/Name': 'spot-drill'
    }],
    ['StartExperimentRole', 'only the one action is for drills', 'fis:CreateExperimentTemplate', arn('fis', 'action/aws:ec2:terminate-instances'), ours],
    ['StartExperimentRole', "the template gets no drill's tag", 'fis:CreateExperimentTemplate', arn('fis', 'experiment-template/*'), {}],
    ['StartExperimentRole', 'it is a tag of another', 'fis:TagResource', template, { 'aws:TagKeys': ['owner'] }],
    ['StartExperimentRole', 'it is another role', 'iam:PassRole', `arn:aws:iam::${ACCOUNT}:role/admin`, {
      'iam:PassedToService': 'fis.amazonaws.com'
    }],
    ['StartExperimentRole', 'it is another service', 'iam:PassRole', role('ExperimentRole'), {
      'iam:PassedToService': 'ec2.amazonaws.com'
    }],
    ['StartExperimentRole', 'only FIS does that', INTERRUPT, instance, victim],
    ['StartExperimentRole', 'the leading key is of another kind', 'dynamodb:PutItem', ledger, {
      'dynamodb:LeadingKeys': ['submission#1']
    }],
    ['StartExperimentRole', 'nothing is to be read from S3', 's3:GetObject', `${data}/resultsspot/part-00000`],
    ['StartExperimentRole', 'it runs no code', 'elasticmapreduce:AddJobFlowSteps', arn('elasticmapreduce', 'cluster/j-1'), {
      'elasticmapreduce:ResourceTag/spot-drill': 'on'
    }],

    ['RecordInterruptionRole', 'the leading key is of another kind', 'dynamodb:UpdateItem', ledger, {
      'dynamodb:LeadingKeys': ['other#1']
    }],
    ['RecordInterruptionRole', 'it only writes', 'dynamodb:GetItem', ledger, { 'dynamodb:LeadingKeys': ['cluster#j-1'] }],
    ['RecordInterruptionRole', 'it starts nothing', 'fis:StartExperiment', experiments, ours],
    ['RecordInterruptionRole', 'the dead letters are not its queue', 'sqs:ReceiveMessage', queue('DeadLetterQueue')],

    ['WriteReportRole', 'the leading key is of another kind', 'dynamodb:PutItem', ledger, {
      'dynamodb:LeadingKeys': ['submission#1']
    }],
    ['WriteReportRole', 'one of two leading keys is of another kind', 'dynamodb:Query', ledger, {
      'dynamodb:LeadingKeys': ['cluster#j-1', 'other#1']
    }],
    ['WriteReportRole', 'the whole table is not to be read', 'dynamodb:Scan', ledger],
    ['WriteReportRole', 'results are listed and not read', 's3:GetObject', `${data}/resultsspot/part-00000`],
    ['WriteReportRole', 'a baseline is listed and not read', 's3:GetObject', 'arn:aws:s3:::baseline/results/part-00000'],
    ['WriteReportRole', 'another prefix has no event logs', 's3:GetObject', 'arn:aws:s3:::history/secret/application_1_0001'],
    ['WriteReportRole', 'it is no log of a step', 's3:GetObject', `${data}/emr-logs/j-1/node/i-1/daemons/secret.gz`],
    ['WriteReportRole', 'nobody named the bucket', 's3:ListBucket', 'arn:aws:s3:::another', { 's3:prefix': 'results/' }],
    ['WriteReportRole', 'reports are in their prefix', 's3:PutObject', 'arn:aws:s3:::spot-drill-reportbucket-000000000000/other/x'],
    ['WriteReportRole', 'nothing is ever deleted here', 's3:DeleteObject', 'arn:aws:s3:::spot-drill-reportbucket-000000000000/reports/x'],
    ['WriteReportRole', 'it is another key', 'kms:Decrypt', arn('kms', 'key/other'), { 'kms:ViaService': 's3.us-sim-1.amazonaws.com' }],
    ['WriteReportRole', 'keys are for S3 only', 'kms:Decrypt', arn('kms', 'key/logs'), { 'kms:ViaService': 'dynamodb.us-sim-1.amazonaws.com' }],
    ['WriteReportRole', 'keys are for S3 only', 'kms:Decrypt', arn('kms', 'key/logs')],
    ['WriteReportRole', 'it starts nothing', 'fis:StartExperiment', experiments, ours],
    ['WriteReportRole', "the stack's template stays", 'fis:DeleteExperimentTemplate', template, { 'aws:ResourceTag/Name': 'spot-drill' }],

    ['SubmitStepRole', 'it is outside the results prefix', 's3:DeleteObject', `${data}/results/part-00000`],
    ['SubmitStepRole', 'a sibling has a longer name', 's3:DeleteObject', `${data}/resultsspot-2/part-00000`],
    ['SubmitStepRole', 'the whole bucket is not listed', 's3:ListBucket', data, { 's3:prefix': '' }],
    ['SubmitStepRole', 'buckets are not deleted', 's3:DeleteBucket', data],
    ['SubmitStepRole', 'the cluster is not opted in', 'elasticmapreduce:AddJobFlowSteps', arn('elasticmapreduce', 'cluster/j-1'), {
      'elasticmapreduce:ResourceTag/Name': 'them'
    }],
    ['SubmitStepRole', 'clusters are not ended', 'elasticmapreduce:TerminateJobFlows', arn('elasticmapreduce', 'cluster/j-1'), {
      'elasticmapreduce:ResourceTag/spot-drill': 'on'
    }],
    ['SubmitStepRole', 'the leading key is of another kind', 'dynamodb:PutItem', ledger, {
      'dynamodb:LeadingKeys': ['cluster#j-1']
    }],

    ['ScheduleRole', 'it has no schedule', 'lambda:InvokeFunction', invoked('StartExperiment')],
    [EVENTS, "it is another account's rule", 'lambda:InvokeFunction', invoked('StartExperiment'), toLambda('StepStarted', OTHER)],
    [EVENTS, 'it is another rule', 'lambda:InvokeFunction', invoked('StartExperiment'), toLambda('StepEnded')],
    [EVENTS, 'it is no rule', 'lambda:InvokeFunction', invoked('WriteReport')],
    [EVENTS, 'no rule has this function', 'lambda:InvokeFunction', invoked('SubmitStep'), toLambda('StepStarted')],
    [EVENTS, "it is another account's rule", 'sqs:SendMessage', queue('WarningQueue'), toQueue('SpotInterruptionWarning', OTHER)],
    [EVENTS, 'it is another rule', 'sqs:SendMessage', queue('WarningQueue'), toQueue('StepEnded')],
    [EVENTS, "it is another account's rule", 'sqs:SendMessage', queue('DeadLetterQueue'), toQueue('StepEnded', OTHER)],
    [EVENTS, 'the log is of another rule', 'logs:PutLogEvents', stream, toLambda('StepEnded')],
    [EVENTS, "it is another account's rule", 'logs:PutLogEvents', stream, toLambda('SpotEventsToLog', OTHER)],
    ['scheduler.amazonaws.com', 'only EventBridge does that', 'lambda:InvokeFunction', invoked('StartExperiment'), toLambda('StepStarted')],
    [`arn:aws:iam::${OTHER}:role/them`, 'it is another account', 'sqs:SendMessage', queue('WarningQueue')],
    [`arn:aws:iam::${OTHER}:role/them`, 'it is another account', 'lambda:InvokeFunction', invoked('StartExperiment')],
    ['fis.amazonaws.com', "it is another account's experiment", 'sts:AssumeRole', role('ExperimentRole'), {
      'aws:SourceAccount': OTHER, 'aws:SourceArn': arn('fis', 'experiment/EXP1', OTHER)
    }],
    ['ec2.amazonaws.com', 'it is another service', 'sts:AssumeRole', role('ExperimentRole'), {
      'aws:SourceAccount': ACCOUNT, 'aws:SourceArn': arn('fis', 'experiment/EXP1')
    }],
    ['scheduler.amazonaws.com', "it is another account's schedule", 'sts:AssumeRole', role('ScheduleRole'), {
      'aws:SourceAccount': OTHER, 'aws:SourceArn': arn('scheduler', 'schedule-group/spot-drill', OTHER)
    }]
  ].filter(([who]) => !who.endsWith('Role') || policies[who])
}

// The same call on what is none of ours: [why, question].
export function elsewhere({ action, resource, context }) {
  if (resource === '*') return []
  const others = []
  if (resource.startsWith('arn:aws:s3:::')) {
    others.push(['it is another bucket', resource.replace(/^arn:aws:s3:::[^/]+/, 'arn:aws:s3:::another')])
  } else {
    others.push(['it is another account', resource.replaceAll(`:${ACCOUNT}:`, `:${OTHER}:`)])
  }
  if (resource.includes(':table/')) others.push(['it is another table', resource.replace(/table\/[^/]+/, 'table/another')])
  return others.map(([why, other]) => [why, { action, resource: other, context }])
}

"""Mistakes that are easily made in the template, each as the text to replace and what to put there.

Every one is planted in a copy of its own, and at least one check must find it: a check that finds nothing any more is
as good as none."""

FAULTS = [
    ("FIS: a property's name", "EmptyTargetResolutionMode:", "EmptyTargetResolutionMod:"),
    ("FIS: a value of an enumeration", "AccountTargeting: single-account", "AccountTargeting: singel-account"),
    ("FIS: no target is no failure", "EmptyTargetResolutionMode: fail", "EmptyTargetResolutionMode: skip"),
    (
        "FIS: no stop condition",
        "- Source: aws:cloudwatch:alarm\n          Value: !GetAtt TooManyWarnings.Arn",
        "- Source: none",
    ),
    (
        "FIS: an action that does not exist",
        "ActionId: aws:ec2:send-spot-instance-interruptions",
        "ActionId: aws:ec2:send-spot-instance-interruption",
    ),
    ("FIS: an action's target does not exist", "SpotInstances: SpotInstances", "SpotInstances: SpotIntances"),
    ("FIS: a duration out of range", "Interruption: PT2M", "Interruption: PT30M"),
    (
        "FIS: a role that may interrupt anything",
        """                  StringEquals:
                    aws:ResourceTag/aws:elasticmapreduce:instance-group-role: TASK
                    aws:ResourceTag/spot-drill: !If [TaggedOnly, 'on', !Ref AWS::NoValue]
""",
        """                  StringEquals: { ec2:Region: !Ref AWS::Region }
""",
    ),
    ("IAM: an action that does not exist", "Action: elasticmapreduce:ListClusters", "Action: elasticmapreduce:ListCluster"),
    ("IAM: a condition key of no service", "{ ec2:Region:", "{ ec2:Regoin:"),
    (
        "IAM: templates may be updated",
        "Action: fis:GetExperimentTemplate",
        "Action: [fis:GetExperimentTemplate, fis:UpdateExperimentTemplate]",
    ),
    ("IAM: a role may be passed to EC2", "iam:PassedToService: fis.amazonaws", "iam:PassedToService: ec2.amazonaws"),
    ("Lambda: more than 900 seconds", "Timeout: 900", "Timeout: 901"),
    ("EventBridge: 999 retries", "MaximumRetryAttempts: 20 }", "MaximumRetryAttempts: 999 }"),
    ("Lambda: events for half a minute", "MaximumEventAgeInSeconds: 1800", "MaximumEventAgeInSeconds: 30"),
    ("Scheduler: a property's name", "FlexibleTimeWindow:", "FlexibleTimeWindows:"),
    ("Scheduler: a unit of time", "rate(15 minutes)", "rate(15 minits)"),
    ("EventBridge: a value that is no list", "state: [RUNNING]", "state: RUNNING"),
    ("CloudFormation: an attribute", "!GetAtt StepStarted.Arn", "!GetAtt StepStarted.Arm"),
    # Beyond those nineteen.
    ("EventBridge: a state that never comes", "state: [RUNNING]", "state: [STARTED]"),
    ("EventBridge: events of other accounts", "        account: [!Ref AWS::AccountId]\n", ""),
    ("Lambda: a variable that nothing reads", "DELAY_SECONDS: !Ref", "DELAY_SECOND: !Ref"),
    ("Lambda: a variable that is missing", "          TABLE_NAME: !Ref Ledger\n", ""),
    (
        "IAM: one of two resources",
        "experiment-template/*\n                  - !Sub arn:${AWS::Partition}:fis:${AWS::Region}:${AWS::AccountId}:action/",
        "experiment-template/*\n                  - !Sub arn:${AWS::Partition}:fis:${AWS::Region}:${AWS::AccountId}:actions/",
    ),
    (
        "IAM: steps may be added anywhere",
        "Action: elasticmapreduce:AddJobFlowSteps\n                Resource: !Sub arn:${AWS::Partition}:elasticmapreduce:${AWS::Region}:${AWS::AccountId}:cluster/*",
        "Action: elasticmapreduce:AddJobFlowSteps\n                Resource: '*'",
    ),
    ("IAM: an action that nobody calls", "[s3:GetObject, s3:PutObject]", "[s3:GetObject, s3:PutObject, s3:DeleteObject]"),
    ("IAM: an action that is called and not allowed", "                  - elasticmapreduce:ListInstanceFleets\n", ""),
    ("IAM: core nodes are not denied", "instance-group-role: [MASTER, CORE]", "instance-group-role: [MASTER]"),
    ("IAM: a role that others' experiments may use", "StringEquals: { aws:SourceAccount: !Ref AWS::AccountId }\n              ArnLike:", "ArnLike:"),
    ("IAM: On-Demand instances are not denied", "ec2:InstanceMarketType: [on-demand, capacity-block]", "ec2:InstanceMarketType: [capacity-block]"),
    (
        "Lambda: a SourceAccount, which EventBridge has not",
        "      SourceArn: !GetAtt StepEnded.Arn\n",
        "      SourceArn: !GetAtt StepEnded.Arn\n      SourceAccount: !Ref AWS::AccountId\n",
    ),
    ("Lambda: a function that any rule may invoke", "      SourceArn: !GetAtt StepEnded.Arn\n", ""),
    (
        "SQS: a queue that any rule may send to",
        "\n              ArnEquals: { aws:SourceArn: !GetAtt SpotInterruptionWarning.Arn }",
        "",
    ),
    (
        "Logs: a condition on creating a stream",
        """"Resource": "${TrackingLog.Arn}"
          }, {""",
        """"Resource": "${TrackingLog.Arn}",
            "Condition": { "ArnEquals": { "aws:SourceArn": "${SpotEventsToLog.Arn}" } }
          }, {""",
    ),
    (
        "Logs: a group that any rule may write to",
        """"Resource": "${TrackingLog.Arn}",
            "Condition": { "ArnEquals": { "aws:SourceArn": "${SpotEventsToLog.Arn}" } }""",
        """"Resource": "${TrackingLog.Arn}\"""",
    ),
    ("IAM: a step's log that may not be read", "- /*/steps/*/stderr.gz", "- /*/steps/*/stdout.gz"),
    ("IAM: reports that may be written elsewhere only", "${ReportBucket.Arn}/${ReportPrefix}*", "${ReportBucket.Arn}/old-${ReportPrefix}*"),
    (
        "IAM: objects that nobody reads",
        "Action: s3:ListBucket\n                  Resource: !Sub arn:${AWS::Partition}:s3:::${ResultsBucket}\n",
        "Action: [s3:GetObject, s3:ListBucket]\n                  Resource:\n                    - !Sub arn:${AWS::Partition}:s3:::${ResultsBucket}\n                    - !Sub arn:${AWS::Partition}:s3:::${ResultsBucket}/${ResultsPrefix}*\n",
    ),
    ("CloudWatch: a dashboard that is no JSON", '"widgets": [', '"widgets": [,'),
    ("S3: a public bucket", "BlockPublicPolicy: true", "BlockPublicPolicy: false"),
]


def plant(template):
    """Yields each fault's name and the template with it."""
    for name, right, wrong in FAULTS:
        if right not in template:
            raise SystemExit(f"cannot plant {name!r}: the template has no {right!r} any more")
        yield name, template.replace(right, wrong, 1)

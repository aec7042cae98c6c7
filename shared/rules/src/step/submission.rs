//! What `spark-submit` and its relatives are told: options, the application, and the application's own arguments.
//!
//! As `SparkSubmitOptionParser` and `SparkSubmitArguments` of Spark read them:
//! <https://github.com/apache/spark/blob/v3.5.6/launcher/src/main/java/org/apache/spark/launcher/SparkSubmitOptionParser.java>

/// Which of Spark's commands it is: they read their arguments in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// `spark-submit`: options, the application, its arguments.
    Submit,
    /// `spark-example`, `run-example`: options, a class of Spark's examples, its arguments.
    Example,
    /// `spark-sql`, `spark-shell`, `pyspark`, `sparkR`: options of Spark anywhere among the command's own.
    Shell,
}

impl Tool {
    /// The tool of a command's name without its folder.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "spark-submit" => Some(Self::Submit),
            "spark-example" | "run-example" => Some(Self::Example),
            "spark-sql" | "spark-shell" | "pyspark" | "sparkR" => Some(Self::Shell),
            _ => None,
        }
    }
}

/// A submission, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submission {
    tool: Tool,
    /// Spark's options in their order.
    options: Vec<(String, String)>,
    /// The script, the JAR or the example's class; of a shell, nothing.
    application: Option<String>,
    /// What Spark leaves to the application, or to the shell.
    pub(super) arguments: Vec<String>,
}

/// Options with a value.
const WITH_VALUE: [&str; 29] = [
    "--archives",
    "--class",
    "--conf",
    "--deploy-mode",
    "--driver-class-path",
    "--driver-cores",
    "--driver-java-options",
    "--driver-library-path",
    "--driver-memory",
    "--exclude-packages",
    "--executor-cores",
    "--executor-memory",
    "--files",
    "--jars",
    "--keytab",
    "--kill",
    "--master",
    "--name",
    "--num-executors",
    "--packages",
    "--principal",
    "--properties-file",
    "--proxy-user",
    "--py-files",
    "--queue",
    "--remote",
    "--repositories",
    "--status",
    "--total-executor-cores",
];

/// Options without one.
const SWITCHES: [&str; 8] = [
    "--help",
    "-h",
    "--load-spark-defaults",
    "--supervise",
    "--usage-error",
    "--verbose",
    "-v",
    "--version",
];

/// Options that say the same as a property, and win over it.
const PROPERTIES: [(&str, &str); 16] = [
    ("spark.archives", "--archives"),
    ("spark.submit.deployMode", "--deploy-mode"),
    ("spark.driver.extraClassPath", "--driver-class-path"),
    ("spark.driver.cores", "--driver-cores"),
    ("spark.driver.extraJavaOptions", "--driver-java-options"),
    ("spark.driver.extraLibraryPath", "--driver-library-path"),
    ("spark.driver.memory", "--driver-memory"),
    ("spark.executor.cores", "--executor-cores"),
    ("spark.executor.memory", "--executor-memory"),
    ("spark.files", "--files"),
    ("spark.jars", "--jars"),
    ("spark.master", "--master"),
    ("spark.app.name", "--name"),
    ("spark.executor.instances", "--num-executors"),
    ("spark.submit.pyFiles", "--py-files"),
    ("spark.yarn.queue", "--queue"),
];

impl Submission {
    /// Reads the words after the command's name.
    pub(super) fn parse(tool: Tool, words: &[String]) -> Self {
        let mut read = Self {
            tool,
            options: Vec::new(),
            application: None,
            arguments: Vec::new(),
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") && !value.is_empty() => (name, Some(value)),
                _ => (word.as_str(), None),
            };
            let name = if name == "-c" { "--conf" } else { name };
            if WITH_VALUE.contains(&name) {
                let value = value.map(str::to_owned).or_else(|| rest.next().cloned());
                read.options.push((name.to_owned(), value.unwrap_or_default()));
            } else if SWITCHES.contains(&name) {
                read.options.push((name.to_owned(), String::new()));
            } else if tool == Tool::Shell {
                read.arguments.push(word.clone());
            } else {
                // The first word that is no option is the application, and all that follows is the application's own.
                read.application = Some(word.clone()).filter(|word| !word.starts_with('-'));
                read.arguments.extend(rest.cloned());
                break;
            }
        }
        read
    }

    /// What the command line says of a property: the option that stands for it, else the last `--conf`.
    pub(super) fn property(&self, key: &str) -> Option<String> {
        let option = PROPERTIES.iter().find(|(property, _)| *property == key);
        option
            .and_then(|(_, option)| self.option(option))
            .map(str::to_owned)
            .or_else(|| {
                let pairs = self.options.iter().filter(|(name, _)| name == "--conf");
                let mut values = pairs.filter_map(|(_, pair)| {
                    let (name, value) = unquoted(pair).split_once('=')?;
                    (name.trim() == key).then(|| unquoted(value).to_owned())
                });
                values.next_back()
            })
    }

    /// The last value of an option.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let mut values = self.options.iter().filter(|(option, _)| option == name);
        values.next_back().map(|(_, value)| value.as_str())
    }

    /// What runs: a script, a class with its JAR, an example's class, a file of SQL or the SQL itself.
    pub(super) fn program(&self) -> Option<String> {
        let after = |names: [&str; 2]| {
            let at = self.arguments.iter().position(|word| names.contains(&word.as_str()))?;
            self.arguments.get(at + 1).cloned()
        };
        match (self.tool, &self.application) {
            (Tool::Submit, Some(application)) => Some(match self.option("--class") {
                Some(class) => format!("{class} {application}"),
                None => application.clone(),
            }),
            (Tool::Example, Some(class)) if class.contains('.') => Some(class.clone()),
            (Tool::Example, Some(class)) => Some(format!("org.apache.spark.examples.{class}")),
            (Tool::Shell, _) => after(["-f", "-i"]).or_else(|| after(["-e", "-I"])).or_else(|| {
                let mut scripts = self.arguments.iter().filter(|word| word.ends_with(".py"));
                scripts.next().cloned()
            }),
            (_, None) => None,
        }
    }
}

/// A word without the quotes around it, which some write although no shell takes them off.
fn unquoted(word: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(tool: Tool, text: &str) -> Submission {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Submission::parse(tool, &words)
    }

    #[test]
    fn a_property_is_heard_in_each_spelling_and_the_last_one_wins() {
        for text in [
            "--conf k=1 --conf k=2=3 x.py",
            "-c k=2=3 x.py",
            "--conf=k=2=3 --verbose x.py",
            "--conf \"k=2=3\" --class A x.jar",
            "--conf 'k=2=3' x.py",
            "--conf k=\"2=3\" x.py",
        ] {
            assert_eq!(
                submission(Tool::Submit, text).property("k").as_deref(),
                Some("2=3"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_comes_after_the_application_is_its_own() {
        let read = submission(Tool::Submit, "--conf a=1 x.py --conf a=2 --deploy-mode cluster");
        assert_eq!(read.property("a").as_deref(), Some("1"));
        assert_eq!(read.property("spark.submit.deployMode"), None);
        assert_eq!(read.arguments, ["--conf", "a=2", "--deploy-mode", "cluster"]);
    }

    #[test]
    fn an_option_wins_over_the_property_that_says_the_same() {
        let read = submission(
            Tool::Submit,
            "--deploy-mode client --conf spark.submit.deployMode=cluster x.py",
        );
        assert_eq!(read.property("spark.submit.deployMode").as_deref(), Some("client"));
    }

    #[test]
    fn a_shells_options_may_stand_anywhere() {
        let read = submission(Tool::Shell, "-f s3://b/q.sql --conf a=1 --hiveconf x=y");
        assert_eq!(read.property("a").as_deref(), Some("1"));
        assert_eq!(read.program().as_deref(), Some("s3://b/q.sql"));
    }

    #[test]
    fn the_program_is_a_script_a_class_with_its_jar_or_an_example() {
        let program = |tool, text| submission(tool, text).program();
        assert_eq!(program(Tool::Submit, "s3://b/x.py out").as_deref(), Some("s3://b/x.py"));
        assert_eq!(
            program(Tool::Submit, "--class a.B --jars c.jar s3://b/d.jar 7").as_deref(),
            Some("a.B s3://b/d.jar")
        );
        assert_eq!(
            program(Tool::Example, "--verbose SparkPi 10").as_deref(),
            Some("org.apache.spark.examples.SparkPi")
        );
        assert_eq!(program(Tool::Submit, "--version"), None);
    }

    #[test]
    fn each_of_sparks_commands_is_known_by_its_name() {
        for (name, tool) in [
            ("spark-submit", Some(Tool::Submit)),
            ("spark-example", Some(Tool::Example)),
            ("run-example", Some(Tool::Example)),
            ("spark-sql", Some(Tool::Shell)),
            ("spark-shell", Some(Tool::Shell)),
            ("pyspark", Some(Tool::Shell)),
            ("sparkR", Some(Tool::Shell)),
            ("spark", None),
        ] {
            assert_eq!(Tool::of(name), tool, "{name}");
        }
    }

    #[test]
    fn only_a_long_option_takes_its_value_after_a_sign_of_equality_and_then_it_has_one() {
        let property = |text, key| submission(Tool::Submit, text).property(key);
        assert_eq!(property("--name=a=b x.py", "spark.app.name").as_deref(), Some("a=b"));
        assert_eq!(property("--name= x.py", "spark.app.name"), None);
        assert_eq!(property("-c=a=1 x.py", "a"), None);
        assert_eq!(property("--conf a", "a"), None);
        // A switch takes nothing, and an unknown option ends what can be read.
        assert_eq!(submission(Tool::Submit, "-v x.py").program().as_deref(), Some("x.py"));
        assert_eq!(submission(Tool::Submit, "--new x.py").program(), None);
    }

    #[test]
    fn the_last_of_an_option_wins_too() {
        let read = submission(Tool::Submit, "--queue a --queue b --conf spark.yarn.queue=c x.py");
        assert_eq!(read.option("--queue"), Some("b"));
        assert_eq!(read.property("spark.yarn.queue").as_deref(), Some("b"));
        assert_eq!(read.option("--name"), None);
    }

    #[test]
    fn what_a_shell_runs_is_its_file_before_its_text_before_its_script() {
        let program = |text| submission(Tool::Shell, text).program();
        assert_eq!(program("-e text -f file").as_deref(), Some("file"));
        assert_eq!(program("-I x -i file").as_deref(), Some("file"));
        assert_eq!(program("x.py -e text").as_deref(), Some("text"));
        assert_eq!(program("--conf a=1 x.py y.py").as_deref(), Some("x.py"));
        assert_eq!(program("--conf a=1"), None);
        assert_eq!(
            submission(Tool::Example, "org.me.Example 1").program().as_deref(),
            Some("org.me.Example")
        );
    }
}

"""Fails before there is a Spark, at an import."""

import a_module_that_nobody_installed

a_module_that_nobody_installed.run()

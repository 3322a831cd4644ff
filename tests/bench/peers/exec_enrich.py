"""The shipped exec example with enrich.py's process_data() in it."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, *[os.pardir] * 3, "config", "examples"))

import enrich  # beside this file
import exec_python

exec_python.process_data = enrich.process_data
exec_python.main()

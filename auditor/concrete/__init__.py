"""Small pieces of a script on concrete values, by an interpreter of our own: nothing of the script itself runs.

For code whose meaning is a number that can be compared with the truth, such as how many bytes a token is credited. What
is not understood has the value :data:`UNKNOWN`; numbers, texts and steps are limited.
"""

from auditor.concrete.environment import Environment, HaltError
from auditor.concrete.interpreter import Interpreter
from auditor.concrete.library import UNKNOWN, Native

__all__ = ["UNKNOWN", "Environment", "HaltError", "Interpreter", "Native"]

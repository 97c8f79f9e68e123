"""What of the plan JSON's ``configuration`` may be seen?

It holds the source's constants in clear and no marks: a constant is withheld by the name of its argument, because the
attribute is marked for some resource of that type, or because it goes to a variable that is declared sensitive.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tfaudit.plan.exactjson import Json
from tfaudit.plan.names import LABELLED, labels_secret
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import MASK

_EXPRESSIONS: Final = ("expression", "count_expression", "for_each_expression")


class ConfigurationRedactor:
    """Walks one configuration; ``marked`` are the marked attributes by resource type."""

    def __init__(
        self, redactor: Redactor, *, marked: Mapping[str, Collection[str]], given: Collection[str], withheld: bool
    ) -> None:
        self._redactor = redactor
        self._marked = marked
        self._given = given
        self._withheld = withheld

    def configuration(self, configuration: Mapping[str, Json]) -> Json:
        """Return the whole member ``configuration``."""
        return {key: self._member(key, value) for key, value in configuration.items()}

    def _member(self, key: str, value: Json) -> Json:
        if key == "root_module" and isinstance(value, dict):
            return self._module(value, self._given)
        if key == "provider_config" and isinstance(value, dict):
            return {name: self._block(provider, "provider", ()) for name, provider in value.items()}
        return self._any(value)

    def _module(self, module: dict[str, Json], given: Collection[str] = ()) -> Json:
        kept: dict[str, Json] = {}
        for key, value in module.items():
            match key, value:
                case "resources", list():
                    kept[key] = [self._resource(resource) for resource in value]
                case "outputs", dict():
                    kept[key] = {name: self._output(name, output) for name, output in value.items()}
                case "variables", dict():
                    kept[key] = {name: self._variable(name, each, name in given) for name, each in value.items()}
                case "module_calls", dict():
                    kept[key] = {name: self._call(call) for name, call in value.items()}
                case _:
                    kept[key] = self._any(value)
        return kept

    def _resource(self, resource: Json) -> Json:
        if not isinstance(resource, dict):
            return self._any(resource)
        kind = resource.get("type")
        kind = kind if isinstance(kind, str) else ""
        kept = self._block(resource, kind, self._marked.get(kind, ()))
        provisioners = resource.get("provisioners")
        if isinstance(provisioners, list):
            kept["provisioners"] = [self._block(provisioner, "provisioner", ()) for provisioner in provisioners]
        return kept

    def _call(self, call: Json) -> Json:
        if not isinstance(call, dict):
            return self._any(call)
        module = call.get("module")
        module = module if isinstance(module, dict) else {}
        variables = module.get("variables")
        variables = variables if isinstance(variables, dict) else {}
        secret = {name for name, each in variables.items() if isinstance(each, dict) and each.get("sensitive")}
        kept = self._block({key: value for key, value in call.items() if key != "module"}, "var", secret)
        return {**kept, "module": self._module(module)} if "module" in call else kept

    def _output(self, name: str, output: Json) -> Json:
        if not isinstance(output, dict):
            return self._any(output)
        is_secret = bool(output.get("sensitive")) or self._redactor.names.withhold("output", name, name)
        return {
            key: self._expression(value, "output", (name,), is_secret) if key == "expression" else self._any(value)
            for key, value in output.items()
        }

    def _variable(self, name: str, variable: Json, is_given: bool) -> Json:
        if not isinstance(variable, dict):
            return self._any(variable)
        is_secret = is_given or bool(variable.get("sensitive")) or self._redactor.names.withhold("var", name, name)
        return {
            key: self._constant(value, "var", (name,), is_secret) if key == "default" else self._any(value)
            for key, value in variable.items()
        }

    def _block(self, block: Json, kind: str, marked: Collection[str]) -> dict[str, Json]:
        """Return a resource, provider, provisioner or call; ``marked`` names those of its arguments that are secret."""
        if not isinstance(block, dict):
            return {}
        kept: dict[str, Json] = {}
        for key, value in block.items():
            if key == "expressions" and isinstance(value, dict):
                kept[key] = self._arguments(value, kind, (), marked, is_secret=False)
            elif key in _EXPRESSIONS:
                kept[key] = self._expression(value, kind, (), is_secret=False)
            elif key != "provisioners":
                kept[key] = self._any(value)
        return kept

    def _arguments(
        self, arguments: dict[str, Json], kind: str, path: tuple[str, ...], marked: Collection[str], *, is_secret: bool
    ) -> Json:
        constants = {name: value.get("constant_value") for name, value in arguments.items() if isinstance(value, dict)}
        labelled = labels_secret(constants)
        kept: dict[str, Json] = {}
        for name, value in arguments.items():
            below = (*path, name)
            withheld = (
                is_secret
                or name in marked
                or (labelled and name in LABELLED)
                or self._redactor.names.withhold(kind, name, ".".join(below))
            )
            kept[name] = self._expression(value, kind, below, withheld)
        return kept

    def _expression(self, expression: Json, kind: str, path: tuple[str, ...], is_secret: bool) -> Json:
        """Return an expression, or the nested blocks that stand in place of one."""
        if isinstance(expression, list):
            return [self._expression(each, kind, path, is_secret) for each in expression]
        if not isinstance(expression, dict):
            return self._any(expression)
        if "constant_value" in expression or "references" in expression:
            return {
                key: self._constant(value, kind, path, is_secret) if key == "constant_value" else self._any(value)
                for key, value in expression.items()
            }
        return self._arguments(expression, kind, path, (), is_secret=is_secret)

    def _constant(self, value: Json, kind: str, path: tuple[str, ...], is_secret: bool) -> Json:
        if value is None:
            return None
        if is_secret or self._withheld:
            return MASK
        return self._redactor.value(value, None, kind, path).value

    def _any(self, value: Json) -> Json:
        return self._redactor.value(value, None, "").value

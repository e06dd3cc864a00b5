"""The landmark schemes that ship with tufa-cli, as data; read them through tufa_cli.schemes."""

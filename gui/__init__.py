"""The window. It takes values, events and errors from core, and acts only through core.node.Node."""

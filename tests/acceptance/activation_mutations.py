"""For each part of the acceptance of activation, changes to the program that must turn it red."""

from __future__ import annotations

from tests.acceptance.mutations import Mutation

MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "seed_session": (
        Mutation("core/rpc/mmrpc/errors.py", "config is not found", "config was not found"),
        Mutation("core/activation/coins.py", "field is not found in platform", "is not found in platform"),
    ),
    "errors": (
        Mutation("core/rpc/mmrpc/tasks.py", "CONFLICT = 409", "CONFLICT = 400"),
        Mutation("core/rpc/mmrpc/guard.py", "ATTEMPTS = 10", "ATTEMPTS = 11"),
    ),
    "timed": (
        Mutation("core/activation/steps.py", '"ReadingScorerFromFile"', '"ReadingScorer"'),
        Mutation("core/rpc/mmrpc/tasks.py", '"platform_coin": result', '"platform": result'),
    ),
    "cancel": (
        Mutation(  # the listener stays
            "core/activation/lightning.py",
            "undo.stack.push_async_callback(lambda: peers.aclose(undo.flush_timeout_s))",
            "undo.stack.push_async_callback(lambda: asyncio.sleep(0, undo.flush_timeout_s))",
        ),
        Mutation(  # it lasts longer than the bar
            "core/activation/manager.py",
            "            entry.task.cancel()\n        await asyncio.wait([entry.task])",
            "            asyncio.get_running_loop().call_later(0.4, entry.task.cancel)\n"
            "        await asyncio.wait([entry.task])",
        ),
        Mutation(  # a connection stays
            "core/activation/activator.py",
            "        except BaseException:\n"
            "            await self._close_again(prepared.platform.ticker, opened)\n"
            "            raise",
            "        finally:\n            pass",
        ),
    ),
    "kill": (
        Mutation(  # the next start finds the socket of the last one
            "core/storage/profile.py", "os.unlink(path)\n        return path", "pass\n        return path"
        ),
        Mutation(  # it makes a new key
            "core/node.py", "kind = keystore or await self._keystore_kind(marker)", 'kind = "memory"'
        ),
        Mutation(  # it forgets a node that was trusted
            "core/channels/trusted.py", "for each in json.loads(text)]", "for each in json.loads(text)[1:]]"
        ),
    ),
}

"""Roots and the leaves below them; all are gone when the test ends."""
import pytest

from support import leaves, servers


class Gather:
    def __init__(self, start):
        self.start = start
        self.stack = start.stack

    def ending(self, thing):
        self.stack.callback(thing.stop)
        return thing

    def leaf(self, *behave, **options):
        return self.ending(leaves.Leaf(*behave, **options))

    def leaves(self, count, behave=None):
        """They answer with their own number, unless told otherwise."""
        return [self.leaf(behave or leaves.answering(i)) for i in range(count)]

    def root(self, shards, *options, **more):
        """shards: for each what has a `url`, text as in --leaf, or a list of such replicas."""
        words = []
        for shard in shards:
            replicas = shard if isinstance(shard, (list, tuple)) else [shard]
            words.append("|".join(getattr(replica, "url", replica) for replica in replicas))
        root = servers.GatherRoot(words, options, **more)
        self.stack.callback(self.start.end_proxy, root)
        return root


@pytest.fixture
def gather(start):
    return Gather(start)

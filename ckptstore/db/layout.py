"""How the tables of a database are laid out: plain, in partitions, or over the nodes of a cluster."""

from __future__ import annotations

from typing import NamedTuple

from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.errors import InvalidConfig


class Layout(NamedTuple):
    """What an upgrade makes of the tables, besides bringing them to this release's revision."""

    #: The number of partitions of every table of threads; None leaves the tables as they are.
    partitions: int | None = None
    #: The number of shards of every table of threads; None leaves the tables as they are.
    shards: int | None = None
    #: Whether all tables of the schema come to one node of a cluster.
    one_node: bool = False

    def require(self, *, on_sqlite: bool) -> None:
        """Return if a database can have this layout.

        Raises:
            InvalidConfig: it can't.
        """
        if self.partitions is not None and self.shards is not None:
            raise InvalidConfig("tables are either partitioned or distributed; leave one of the two out")
        if self.one_node and (self.partitions, self.shards) != (None, None):
            raise InvalidConfig("a schema on one node has neither partitions nor shards; leave them out")
        if self.one_node and on_sqlite:
            from ckptstore.db.distribute import require_schema

            require_schema(None, on_sqlite=True)
        if self.partitions is not None:
            from ckptstore.db.partitions import require_partitions

            require_partitions(self.partitions, on_sqlite=on_sqlite)
        if self.shards is not None:
            from ckptstore.db.distribute import require_shards

            require_shards(self.shards, on_sqlite=on_sqlite)

    def upgrade(self, db: Db) -> None:
        """Upgrade the schema if needed, and lay the tables out.

        Raises:
            InvalidConfig: the tables can't be laid out so.
            SchemaTooNew: the database has a revision that this release does not know.
        """
        self.require(on_sqlite=db.on_sqlite)
        if self.partitions is not None:
            from ckptstore.db.partitions import upgrade_and_partition

            upgrade_and_partition(db, self.partitions)
        elif self.shards is not None or self.one_node:
            from ckptstore.db.distribute import upgrade_and_distribute

            upgrade_and_distribute(db, self.shards)
        else:
            schema.upgrade_if_needed(db)
            if not db.on_sqlite:
                from ckptstore.db.distribute import distribute_new_tables

                distribute_new_tables(db)


AS_IT_IS = Layout()

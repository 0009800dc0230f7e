# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and Kamailio's presence modules: it is notified of presence, of its mailbox and of the
calls of others, and publishes its own presence. The subscriptions are alive when its address changes.
"""

import socket
import unittest

from harness import LIMIT, Kamailio, Phone, address, enter_namespace, main, note, version_of
from mobile import Mobile, MobilePhone
from strangers import route_by_default


class Publisher:
    """What a voice mail system or a PBX tells the server: PUBLISH, one after the other."""

    def __init__(self, test, server, local):
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        test.addCleanup(self.socket.close)
        self.socket.bind((local, 0))
        self.socket.settimeout(LIMIT)
        self.count = 0

    def publish(self, user, event, content_type, body):
        """Replaces nothing; each stands by itself until it expires."""
        self.count += 1
        local = "%s:%d" % self.socket.getsockname()
        aor = f"sip:{user}@{self.server.host}"
        self.socket.sendto(
            (f"PUBLISH {aor} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKpub{self.count}\r\n"
             f"From: <{aor}>;tag=p{self.count}\r\nTo: <{aor}>\r\nCall-ID: publish-{self.count}\r\n"
             f"CSeq: 1 PUBLISH\r\nMax-Forwards: 70\r\nEvent: {event}\r\nExpires: 600\r\n"
             f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode(),
            (self.server.host, 5060))
        while True:
            answer = self.socket.recv(4096).decode()
            if f"branch=z9hG4bKpub{self.count}" in answer and not answer.startswith("SIP/2.0 1"):
                break
        if not answer.startswith("SIP/2.0 200"):
            raise AssertionError(answer)

    def mailbox(self, user, new, old):
        self.publish(user, "message-summary", "application/simple-message-summary",
                     f"Messages-Waiting: {'yes' if new else 'no'}\r\n"
                     f"Message-Account: sip:{user}@{self.server.host}\r\n"
                     f"Voice-Message: {new}/{old}\r\n")

    def call(self, user, identity, state):
        self.publish(user, "dialog", "application/dialog-info+xml",
                     '<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" '
                     f'version="{self.count}" state="full" entity="sip:{user}@{self.server.host}">'
                     f'<dialog id="{identity}" call-id="{identity}" direction="recipient">'
                     f"<state>{state}</state></dialog></dialog-info>")


class PresenceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note(version_of("/usr/sbin/kamailio", "-v"))

    def setUp(self):
        self.mobile = Mobile(self)
        trusted = address()
        self.server = Kamailio(self, template="presence.cfg", tables=True, TRUSTED=trusted)
        self.pbx = Publisher(self, self.server, trusted)
        proxy = f"sip:{self.server.host}"
        self.alice = MobilePhone(self, self.mobile, "alice", "--proxy", proxy, host=self.server.host,
                                 password=Kamailio.USERS["alice"])
        self.bob = Phone(self, "bob", address(), "--registrar", proxy, "--proxy", proxy,
                         host=self.server.host, password=Kamailio.USERS["bob"])
        for phone in (self.alice, self.bob):
            phone.wait_for_event("registration", state="registered")

    def subscribe(self, event, target=""):
        self.alice.mark()
        self.alice.command(f"subscribe {event} {target}".rstrip())
        return self.alice.wait_for_event("subscription", state="active")

    def move(self):
        self.alice.mark()
        self.mobile.move("wifi", "lte")
        self.alice.wait_for_change()

    def test_presence_before_and_after_an_address_change(self):
        self.subscribe("presence", "bob")
        self.bob.command("publish open at <my> desk")
        self.bob.wait_for_event("publication", state="published")
        self.alice.wait_for_event("presence", open=True, note="at <my> desk")
        self.alice.mark()
        self.bob.command("publish closed")
        self.alice.wait_for_event("presence", open=False)
        self.move()
        self.alice.wait_for_event("notified")  # What refreshing it at the new address brings.
        # From here on notifications can only come to the new address.
        self.alice.mark()
        self.bob.command("publish open back again")
        self.alice.wait_for_event("presence", open=True, note="back again")

    def test_what_is_published_moves_and_is_taken_back(self):
        self.alice.command("publish open")
        self.alice.wait_for_event("publication", state="published")
        self.move()
        self.alice.command("publish closed on the road")
        self.bob.mark()
        self.bob.command("subscribe presence alice")
        self.bob.wait_for_event("presence", open=False, note="on the road")
        self.alice.mark()
        self.alice.command("unpublish")
        self.alice.wait_for_event("publication", state="ended")

    def test_the_mailbox(self):
        self.pbx.mailbox("alice", 2, 8)
        self.subscribe("message-summary")
        self.alice.wait_for_event("messages_waiting", waiting=True, new_voice=2, old_voice=8)
        self.move()
        self.alice.wait_for_event("notified")  # What refreshing it at the new address brings.
        self.alice.mark()
        self.pbx.mailbox("alice", 0, 10)
        self.alice.wait_for_event("messages_waiting", waiting=False, new_voice=0, old_voice=10)

    def test_the_calls_of_others(self):
        def has(state):
            return lambda calls: any(call["state"] == state for call in calls)
        self.subscribe("dialog", "bob")
        self.pbx.call("bob", "call-1", "early")
        self.alice.wait_for_event("remote_calls", calls=has("ringing"))
        self.move()
        self.alice.wait_for_event("notified")  # What refreshing it at the new address brings.
        self.alice.mark()
        self.pbx.call("bob", "call-1", "confirmed")
        self.alice.wait_for_event("remote_calls", calls=has("confirmed"))

    def test_an_unsubscribed_phone_is_left_alone(self):
        subscription = self.subscribe("presence", "bob")["subscription"]
        self.alice.command(f"unsubscribe {subscription}")
        self.alice.wait_for_event("subscription", state="terminated")
        before = len(self.alice.events("notified"))
        self.bob.command("publish open")
        self.bob.wait_for_event("publication", state="published")
        # An answer from the server shows that whatever it had to send before has come.
        self.alice.mark()
        self.alice.command("options")
        self.alice.wait_for_event("options_result")
        self.assertEqual(len(self.alice.events("notified")), before)


if __name__ == "__main__":
    enter_namespace()
    route_by_default()
    main()

# SPDX-License-Identifier: Apache-2.0
"""A godwit phone and linphone, face to face and through Kamailio, over UDP and TLS: calls both ways,
hold, an address change, hang up."""

import unittest

from harness import enter_namespace, main
from strangers import Course, Linphone, route_by_default


class LinphoneTest(Course, unittest.TestCase):
    PEER = Linphone


if __name__ == "__main__":
    enter_namespace()
    route_by_default()
    main()

// SPDX-License-Identifier: Apache-2.0
package org.godwit;

import java.util.ArrayList;
import java.util.List;

/**
 * What the machine's network looks like at one moment. On Android it is made of what
 * {@code ConnectivityManager.NetworkCallback} tells ({@code onLinkPropertiesChanged},
 * {@code onLost}); docs/other-systems.md says how.
 */
public final class Network {
  /** One interface with its addresses; {@code identity}: an SSID or the like, or null. */
  public record Interface(int index, String name, boolean up, boolean loopback, String identity,
                          List<String> addresses, List<Integer> prefixLengths) {
    public Interface {
      if (addresses.size() != prefixLengths.size()) {
        throw new IllegalArgumentException("each address needs a prefix length");
      }
    }
  }

  final List<Interface> interfaces = new ArrayList<>();
  final List<int[]> defaultRoutes = new ArrayList<>();

  public Network add(Interface one) {
    interfaces.add(one);
    return this;
  }

  /** Where everything else goes; the first of a family counts. */
  public Network addDefaultRoute(int family, int interfaceIndex) {
    defaultRoutes.add(new int[] {family, interfaceIndex});
    return this;
  }
}

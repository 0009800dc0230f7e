// SPDX-License-Identifier: Apache-2.0
package org.godwit;

import java.nio.charset.StandardCharsets;

/**
 * A SIP user agent whose calls outlive their IP address: the C interface (godwit.h) for Java. Every
 * method may be called from any thread; events are JSON objects, fetched with {@link #nextEvent}.
 * Not usable after {@link #close}.
 */
public final class Godwit implements AutoCloseable {
  static {
    System.loadLibrary("godwit_jni");
  }

  /** An account's settings; null where the default will do. */
  public record Account(String aor, String registrar, String outboundProxy, String username,
                        String password, boolean registers) {
    /** One that calls and is called without a registrar. */
    public static Account unregistered(String aor) {
      return new Account(aor, null, null, null, null, false);
    }
  }

  private long agent;

  /** {@code watchNetwork}: false where {@link #updateNetwork} tells how the network is. */
  public Godwit(int sipPort, boolean watchNetwork, String stateDir) {
    agent = create(sipPort, watchNetwork, stateDir);
  }

  public static native String version();

  public synchronized int addAccount(Account account) {
    return addAccount(open(), account.aor(), account.registrar(), account.outboundProxy(),
                      account.username(), account.password(), account.registers());
  }

  public synchronized int call(int account, String target) {
    return call(open(), account, target);
  }

  public synchronized void answer(int call) {
    answer(open(), call);
  }

  public synchronized void hangUp(int call) {
    hangUp(open(), call);
  }

  public synchronized void updateNetwork(Network network) {
    final int count = network.interfaces.size();
    final int[] indexes = new int[count];
    final String[] names = new String[count];
    final boolean[] up = new boolean[count];
    final boolean[] loopback = new boolean[count];
    final String[] identities = new String[count];
    final String[][] addresses = new String[count][];
    final int[][] prefixes = new int[count][];
    for (int i = 0; i < count; ++i) {
      final Network.Interface one = network.interfaces.get(i);
      indexes[i] = one.index();
      names[i] = one.name();
      up[i] = one.up();
      loopback[i] = one.loopback();
      identities[i] = one.identity();
      addresses[i] = one.addresses().toArray(new String[0]);
      prefixes[i] = one.prefixLengths().stream().mapToInt(Integer::intValue).toArray();
    }
    updateNetwork(open(), indexes, names, up, loopback, identities, addresses, prefixes,
                  network.defaultRoutes.toArray(new int[0][]));
  }

  /** Acts as if the address had changed; the number of the change in its events. */
  public synchronized int handleIpChange() {
    return handleIpChange(open());
  }

  /**
   * The next event, or null if none comes in time. Waits without holding anything, so that other
   * methods go on; not at the same time as {@link #close}.
   */
  public String nextEvent(int timeoutMs) {
    final long handle;
    synchronized (this) {
      handle = open();
    }
    final byte[] bytes = nextEventBytes(handle, timeoutMs);
    return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
  }

  /** Takes leave of peers and servers for at most a second, and ends. */
  @Override
  public synchronized void close() {
    if (agent != 0) {
      destroy(agent);
    }
    agent = 0;
  }

  private long open() {
    if (agent == 0) {
      throw new IllegalStateException("closed");
    }
    return agent;
  }

  private static native long create(int sipPort, boolean watchNetwork, String stateDir);

  private static native void destroy(long agent);

  private static native int addAccount(long agent, String aor, String registrar,
                                       String outboundProxy, String username, String password,
                                       boolean registers);

  private static native int call(long agent, int account, String target);

  private static native void answer(long agent, int call);

  private static native void hangUp(long agent, int call);

  private static native void updateNetwork(long agent, int[] indexes, String[] names, boolean[] up,
                                           boolean[] loopback, String[] identities,
                                           String[][] addresses, int[][] prefixes, int[][] routes);

  private static native int handleIpChange(long agent);

  private static native byte[] nextEventBytes(long agent, int timeoutMs);
}

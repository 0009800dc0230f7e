// SPDX-License-Identifier: Apache-2.0
import java.util.List;
import java.util.function.Predicate;
import org.godwit.Godwit;
import org.godwit.GodwitException;
import org.godwit.Network;

/** A call between two agents on loopback addresses, one of which moves: exit status 0 if it lives. */
public final class MoveACall {
  private static final long LIMIT_MS = 30_000;
  private static final long PID = ProcessHandle.current().pid();

  private static String loopback(int last) {
    return "127." + (10 + PID % 80) + "." + PID / 80 % 250 + "." + last;
  }

  private static Network at(int last) {
    return new Network().add(new Network.Interface(1, "lo", true, true, null,
        List.of(loopback(last)), List.of(32)));
  }

  private static String waitFor(Godwit agent, Predicate<String> wanted) {
    final long end = System.nanoTime() + LIMIT_MS * 1_000_000;
    while (System.nanoTime() < end) {
      final String event = agent.nextEvent(100);
      if (event != null && wanted.test(event)) {
        return event;
      }
    }
    throw new AssertionError("an event did not come");
  }

  private static Predicate<String> event(String name, String more) {
    return text -> text.contains("\"event\":\"" + name + "\"") && text.contains(more);
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }

  public static void main(String[] arguments) {
    System.out.println("Godwit " + Godwit.version());
    try (Godwit alice = new Godwit(5060, false, null); Godwit bob = new Godwit(5060, false, null)) {
      alice.updateNetwork(at(2));
      bob.updateNetwork(at(3));
      final int ours = alice.addAccount(Godwit.Account.unregistered("sip:alice@" + loopback(2)));
      bob.addAccount(Godwit.Account.unregistered("sip:bob@" + loopback(3)));
      final int call = alice.call(ours, "sip:bob@" + loopback(3) + ":5060");
      waitFor(bob, event("incoming_call", ""));
      bob.answer(1);
      waitFor(alice, event("call_state", "\"confirmed\""));

      alice.updateNetwork(at(4));
      final String report = waitFor(alice, event("ip_change_completed", ""));
      require(report.contains("\"survived\":true"), report);
      require(report.contains(loopback(4)), report);

      alice.handleIpChange();
      waitFor(alice, event("ip_change_completed", ""));
      alice.hangUp(call);
      waitFor(bob, event("call_state", "\"ended\""));
      try {
        alice.answer(99);
        throw new AssertionError("there is no call 99");
      } catch (GodwitException expected) {
        require(!expected.getMessage().isEmpty(), "it does not say why");
      }
    }
    System.out.println("the call was moved");
  }
}

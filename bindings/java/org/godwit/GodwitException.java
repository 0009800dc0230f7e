// SPDX-License-Identifier: Apache-2.0
package org.godwit;

/** The library refused what was asked; the message says why. */
public final class GodwitException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private final int status;

  GodwitException(int status, String why) {
    super(why);
    this.status = status;
  }

  /** A {@code godwit_status} of godwit.h. */
  public int status() {
    return status;
  }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The library for other languages and systems: what glue in Swift, Java, Dart and the like binds
 * to. A part of user_agent.hpp with C's types; what a function does beyond its line here is said
 * there.
 *
 * Threads: every function may be called from any thread, also from inside the event handler, where
 * godwit_agent_shutdown() does not wait and godwit_agent_destroy() must not be called.
 *
 * Strings are UTF-8 with a NUL at the end; the library copies what it is given. Each structure
 * begins with its own size: let its _init function fill in the defaults, then change what shall
 * differ, and a program goes on working with a later library whose structures have grown.
 *
 * Functions return GODWIT_OK, or what went wrong; godwit_last_error() says it in words. Events are
 * JSON objects as `godwit phone --events json` prints them, one by one: to a handler, or, without
 * one, from godwit_next_event().
 */
#ifndef GODWIT_GODWIT_H
#define GODWIT_GODWIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum godwit_status {
  GODWIT_OK = 0,
  GODWIT_INVALID_ARGUMENT = 1, /* Asked for something impossible. */
  GODWIT_NOT_FOUND = 2,        /* No such account or call. */
  GODWIT_WRONG_STATE = 3,      /* Not possible now. */
  GODWIT_BUSY = 4,             /* A bounded queue or table is full. */
  GODWIT_NETWORK = 5,          /* The system refused a socket or the like. */
  GODWIT_TIMEOUT = 6,          /* Nothing came in time. */
  GODWIT_TOO_LARGE = 7,        /* Does not fit. */
  GODWIT_FAILED = 8            /* Anything else. */
} godwit_status;

/* "0.1.0" */
const char* godwit_version(void);
/* What went wrong in the calling thread's last function that failed; never NULL. Valid until that
 * thread's next call. */
const char* godwit_last_error(void);

typedef struct godwit_agent godwit_agent;

/* Called on the library's signalling thread; must not block. `event` is valid until it returns. */
typedef void (*godwit_event_handler)(void* context, const char* event);

/* Called with each new socket before it is bound or connected, on the library's threads; must not
 * block, nor call this library. `local`: the address that it will have, "" if the system chooses;
 * `interface_name`: the way out, "" if the routes decide. 0 refuses the socket. */
typedef int (*godwit_socket_created)(void* context, int descriptor, const char* local,
                                     const char* interface_name);

typedef struct godwit_config {
  size_t size;
  const char* user_agent; /* NULL: "Godwit". */
  const char* state_dir;  /* For the instance-id; NULL: nothing is kept. */
  uint16_t sip_port;      /* 0: the system chooses. */
  uint16_t rtp_port_min;
  uint16_t rtp_port_max;
  int watch_network;                    /* 0: godwit_update_network() tells how the network is. */
  const char* tls_ca_file;              /* PEM; NULL: the system's authorities. */
  godwit_event_handler on_event;        /* NULL: events wait for godwit_next_event(). */
  void* context;                        /* Handed to the handlers. */
  godwit_socket_created socket_created; /* NULL: none. */
  /* "host" or "host:port", at most 4; see UserAgentConfig::stun_servers. NULL: none. */
  const char* const* stun_servers;
  size_t stun_server_count;
  /* "192.0.2.53", "[2001:db8::53]:53"; of systems without a resolv.conf. NULL: the system's. */
  const char* const* dns_servers;
  size_t dns_server_count;
  int nat64; /* On a network with IPv6 only, reach IPv4 through its NAT64. */
} godwit_config;

void godwit_config_init(godwit_config* config);

/* NULL: see godwit_last_error(). */
godwit_agent* godwit_agent_create(const godwit_config* config);
/* Takes leave of peers and servers, for at most so long. */
void godwit_agent_shutdown(godwit_agent* agent, uint32_t limit_ms);
/* Ends it at once; nothing is called afterwards. NULL is allowed. */
void godwit_agent_destroy(godwit_agent* agent);

/* Waits at most so long for an event and copies it, NUL and all, to `buffer`. GODWIT_TIMEOUT: there
 * was none. GODWIT_TOO_LARGE: it needs `*length` bytes, and stays. `length` may be NULL. At most
 * 4 096 events wait; if more come the oldest are lost, and a warning says how many. */
godwit_status godwit_next_event(godwit_agent* agent, uint32_t timeout_ms, char* buffer,
                                size_t capacity, size_t* length);

typedef enum godwit_transport {
  GODWIT_TRANSPORT_AUTO = 0,
  GODWIT_TRANSPORT_UDP = 1,
  GODWIT_TRANSPORT_TCP = 2,
  GODWIT_TRANSPORT_TLS = 3
} godwit_transport;

typedef enum godwit_family_policy {
  GODWIT_FAMILY_ANY = 0,
  GODWIT_FAMILY_PREFER_4 = 1,
  GODWIT_FAMILY_PREFER_6 = 2,
  GODWIT_FAMILY_ONLY_4 = 3,
  GODWIT_FAMILY_ONLY_6 = 4
} godwit_family_policy;

typedef struct godwit_account {
  size_t size;
  const char* aor; /* "sip:alice@example.org"; the only one that must be given. */
  const char* display_name;
  const char* registrar;      /* NULL: the AOR's host. */
  const char* outbound_proxy; /* NULL: none. */
  const char* username;       /* NULL: the AOR's user. */
  const char* password;
  godwit_transport transport;
  int register_on_add;
  uint32_t expires_s;
  int update_contact;                /* When the address changes: register anew, … */
  int refresh_calls;                 /* … move the calls, … */
  int hang_up_calls;                 /* … or end them, … */
  uint32_t recovery_deadline_ms;     /* … which wait for a network at most so long. */
  godwit_family_policy sip_family;   /* Of the way to the servers. */
  godwit_family_policy media_family; /* Of the audio in our offers. */
  int use_stun;                      /* Tell what the STUN servers see. */
  int leave_dead_paths;              /* See IpChangePolicy. */
  int prove_new_paths;
} godwit_account;

void godwit_account_init(godwit_account* account);
godwit_status godwit_account_add(godwit_agent* agent, const godwit_account* account, uint32_t* id);
godwit_status godwit_account_remove(godwit_agent* agent, uint32_t account);
godwit_status godwit_account_register(godwit_agent* agent, uint32_t account);
godwit_status godwit_account_unregister(godwit_agent* agent, uint32_t account);
/* A push notification has come for it (RFC 8599). */
godwit_status godwit_account_push_wake(godwit_agent* agent, uint32_t account);

/* `target`: a SIP URI, or a user of the account's domain. */
godwit_status godwit_call(godwit_agent* agent, uint32_t account, const char* target,
                          uint32_t* call);
godwit_status godwit_call_ring(godwit_agent* agent, uint32_t call);
godwit_status godwit_call_answer(godwit_agent* agent, uint32_t call);
/* `sip_status`: 400 to 699. */
godwit_status godwit_call_reject(godwit_agent* agent, uint32_t call, int sip_status);
godwit_status godwit_call_hang_up(godwit_agent* agent, uint32_t call);
godwit_status godwit_call_hold(godwit_agent* agent, uint32_t call);
godwit_status godwit_call_resume(godwit_agent* agent, uint32_t call);
godwit_status godwit_call_mute(godwit_agent* agent, uint32_t call, int muted);
godwit_status godwit_call_send_dtmf(godwit_agent* agent, uint32_t call, const char* digits);

typedef enum godwit_source {
  GODWIT_SOURCE_SILENCE = 0,
  GODWIT_SOURCE_TONE = 1, /* 440 Hz. */
  GODWIT_SOURCE_FILE = 2, /* `file`, from its beginning again at its end. */
  GODWIT_SOURCE_ECHO = 3
} godwit_source;
/* What the call sends from now on. `file`: NULL unless it is a file. */
godwit_status godwit_call_set_source(godwit_agent* agent, uint32_t call, godwit_source source,
                                     const char* file);

/* The network as it is now, for systems without a monitor of their own here. */
typedef struct godwit_address {
  const char* address; /* "192.0.2.7", "2001:db8::7" */
  uint8_t prefix_length;
  int deprecated; /* Keeps what uses it, and gets nothing new. */
  int temporary;
} godwit_address;

typedef struct godwit_interface {
  uint32_t index; /* Not 0; the same as long as the interface lives. */
  const char* name;
  int up; /* Usable: with its link. */
  int loopback;
  /* What tells two networks apart that give the same address: an SSID, say. NULL: unknown. */
  const char* link_identity;
  const godwit_address* addresses;
  size_t address_count;
} godwit_interface;

/* Where everything goes that no interface is directly connected to; the first of a family counts.
 */
typedef struct godwit_default_route {
  int family; /* 4 or 6 */
  uint32_t interface_index;
} godwit_default_route;

typedef struct godwit_network {
  size_t size;
  const godwit_interface* interfaces;
  size_t interface_count;
  const godwit_default_route* default_routes;
  size_t default_route_count;
  /* Of the NAT64 where the first IPv6 default route leads, e.g. "64:ff9b::/96". NULL: unknown;
   * where it is needed, the DNS is asked. */
  const char* nat64_prefix;
} godwit_network;

void godwit_network_init(godwit_network* network);
/* GODWIT_INVALID_ARGUMENT: an address that is none, or a network that contradicts itself. */
godwit_status godwit_update_network(godwit_agent* agent, const godwit_network* network);

/* Acts as if the address had changed; see UserAgent::handle_ip_change. `generation` may be NULL. */
godwit_status godwit_handle_ip_change(godwit_agent* agent, uint32_t* generation);

#ifdef __cplusplus
}
#endif

#endif

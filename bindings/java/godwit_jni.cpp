// SPDX-License-Identifier: Apache-2.0
//
// org.godwit.Godwit's native methods: each one is a function of godwit.h, whose failure becomes a
// GodwitException.
#include <jni.h>

#include <string>
#include <vector>

#include "godwit/godwit.h"

namespace {

/// A Java string's characters while in scope; null stays null.
class Text {
 public:
  Text(JNIEnv* env, jstring text) : env_(env), text_(text) {
    if (text != nullptr) characters_ = env->GetStringUTFChars(text, nullptr);
  }
  ~Text() {
    if (characters_ != nullptr) env_->ReleaseStringUTFChars(text_, characters_);
  }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;
  const char* get() const { return characters_; }

 private:
  JNIEnv* env_;
  jstring text_;
  const char* characters_ = nullptr;
};

void raise(JNIEnv* env, godwit_status status) {
  jclass type = env->FindClass("org/godwit/GodwitException");
  if (type == nullptr) return;
  jmethodID make = env->GetMethodID(type, "<init>", "(ILjava/lang/String;)V");
  // JNI's strings are not UTF-8 but nearly; what the text may quote of others must not matter.
  std::string text = godwit_last_error();
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  jstring why = env->NewStringUTF(text.c_str());
  if (make == nullptr || why == nullptr) return;
  auto* exception =
      static_cast<jthrowable>(env->NewObject(type, make, static_cast<jint>(status), why));
  if (exception != nullptr) env->Throw(exception);
}

void check(JNIEnv* env, godwit_status status) {
  if (status != GODWIT_OK) raise(env, status);
}

godwit_agent* agent_of(jlong handle) { return reinterpret_cast<godwit_agent*>(handle); }

std::vector<jint> ints(JNIEnv* env, jintArray array) {
  std::vector<jint> values(static_cast<std::size_t>(env->GetArrayLength(array)));
  env->GetIntArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
  return values;
}

std::vector<jboolean> booleans(JNIEnv* env, jbooleanArray array) {
  std::vector<jboolean> values(static_cast<std::size_t>(env->GetArrayLength(array)));
  env->GetBooleanArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
  return values;
}

/// What is none stays none: the library refuses it.
uint8_t prefix_of(jint length) {
  constexpr uint8_t kNone = 255;
  return length < 0 || length > 128 ? kNone : static_cast<uint8_t>(length);
}

template <typename Array>
Array element(JNIEnv* env, jobjectArray array, std::size_t index) {
  return static_cast<Array>(env->GetObjectArrayElement(array, static_cast<jsize>(index)));
}

std::string string_at(JNIEnv* env, jobjectArray array, std::size_t index) {
  const auto text = element<jstring>(env, array, index);
  std::string copy;
  {
    const Text characters(env, text);
    if (characters.get() != nullptr) copy = characters.get();
  }
  // A frame has room for 16 such references; there may be more interfaces.
  if (text != nullptr) env->DeleteLocalRef(text);
  return copy;
}

/// One interface's strings, which its godwit_interface points to.
struct OwnedInterface {
  std::string name;
  std::string identity;
  std::vector<std::string> texts;
  std::vector<godwit_address> addresses;
};

}  // namespace

extern "C" {

JNIEXPORT jstring JNICALL Java_org_godwit_Godwit_version(JNIEnv* env, jclass) {
  return env->NewStringUTF(godwit_version());
}

JNIEXPORT jlong JNICALL Java_org_godwit_Godwit_create(JNIEnv* env, jclass, jint sip_port,
                                                      jboolean watch_network, jstring state_dir) {
  const Text directory(env, state_dir);
  godwit_config config;
  godwit_config_init(&config);
  config.sip_port = static_cast<uint16_t>(sip_port);
  config.watch_network = watch_network == JNI_TRUE ? 1 : 0;
  config.state_dir = directory.get();
  godwit_agent* agent = godwit_agent_create(&config);
  if (agent == nullptr) raise(env, GODWIT_FAILED);
  return reinterpret_cast<jlong>(agent);
}

JNIEXPORT void JNICALL Java_org_godwit_Godwit_destroy(JNIEnv*, jclass, jlong agent) {
  godwit_agent_shutdown(agent_of(agent), 1'000);
  godwit_agent_destroy(agent_of(agent));
}

JNIEXPORT jint JNICALL Java_org_godwit_Godwit_addAccount(JNIEnv* env, jclass, jlong agent,
                                                         jstring aor, jstring registrar,
                                                         jstring outbound_proxy, jstring username,
                                                         jstring password, jboolean registers) {
  const Text aor_text(env, aor);
  const Text registrar_text(env, registrar);
  const Text proxy_text(env, outbound_proxy);
  const Text username_text(env, username);
  const Text password_text(env, password);
  godwit_account account;
  godwit_account_init(&account);
  account.aor = aor_text.get();
  account.registrar = registrar_text.get();
  account.outbound_proxy = proxy_text.get();
  account.username = username_text.get();
  account.password = password_text.get();
  account.register_on_add = registers == JNI_TRUE ? 1 : 0;
  uint32_t id = 0;
  check(env, godwit_account_add(agent_of(agent), &account, &id));
  return static_cast<jint>(id);
}

JNIEXPORT jint JNICALL Java_org_godwit_Godwit_call(JNIEnv* env, jclass, jlong agent, jint account,
                                                   jstring target) {
  const Text target_text(env, target);
  uint32_t call = 0;
  check(env,
        godwit_call(agent_of(agent), static_cast<uint32_t>(account), target_text.get(), &call));
  return static_cast<jint>(call);
}

JNIEXPORT void JNICALL Java_org_godwit_Godwit_answer(JNIEnv* env, jclass, jlong agent, jint call) {
  check(env, godwit_call_answer(agent_of(agent), static_cast<uint32_t>(call)));
}

JNIEXPORT void JNICALL Java_org_godwit_Godwit_hangUp(JNIEnv* env, jclass, jlong agent, jint call) {
  check(env, godwit_call_hang_up(agent_of(agent), static_cast<uint32_t>(call)));
}

JNIEXPORT void JNICALL Java_org_godwit_Godwit_updateNetwork(
    JNIEnv* env, jclass, jlong agent, jintArray indexes, jobjectArray names, jbooleanArray up,
    jbooleanArray loopback, jobjectArray identities, jobjectArray addresses, jobjectArray prefixes,
    jobjectArray routes) {
  const auto numbers = ints(env, indexes);
  const auto are_up = booleans(env, up);
  const auto are_loopback = booleans(env, loopback);
  std::vector<OwnedInterface> owned(numbers.size());
  std::vector<godwit_interface> interfaces;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    OwnedInterface& one = owned[i];
    one.name = string_at(env, names, i);
    one.identity = string_at(env, identities, i);
    const auto own_addresses = element<jobjectArray>(env, addresses, i);
    const auto own_prefixes = ints(env, element<jintArray>(env, prefixes, i));
    for (std::size_t j = 0; j < own_prefixes.size(); ++j) {
      one.texts.push_back(string_at(env, own_addresses, j));
    }
    for (std::size_t j = 0; j < own_prefixes.size(); ++j) {
      one.addresses.push_back({one.texts[j].c_str(), prefix_of(own_prefixes[j]), 0, 0});
    }
    interfaces.push_back({static_cast<uint32_t>(numbers[i]), one.name.c_str(),
                          are_up[i] == JNI_TRUE ? 1 : 0, are_loopback[i] == JNI_TRUE ? 1 : 0,
                          one.identity.empty() ? nullptr : one.identity.c_str(),
                          one.addresses.data(), one.addresses.size()});
  }
  std::vector<godwit_default_route> default_routes;
  for (jsize i = 0; i < env->GetArrayLength(routes); ++i) {
    const auto pair = ints(env, element<jintArray>(env, routes, static_cast<std::size_t>(i)));
    if (pair.size() != 2) continue;
    default_routes.push_back({pair[0], static_cast<uint32_t>(pair[1])});
  }
  godwit_network network;
  godwit_network_init(&network);
  network.interfaces = interfaces.data();
  network.interface_count = interfaces.size();
  network.default_routes = default_routes.data();
  network.default_route_count = default_routes.size();
  check(env, godwit_update_network(agent_of(agent), &network));
}

JNIEXPORT jint JNICALL Java_org_godwit_Godwit_handleIpChange(JNIEnv* env, jclass, jlong agent) {
  uint32_t generation = 0;
  check(env, godwit_handle_ip_change(agent_of(agent), &generation));
  return static_cast<jint>(generation);
}

// Bytes, for an event holds what a peer wrote, and JNI's own strings are not quite UTF-8.
JNIEXPORT jbyteArray JNICALL Java_org_godwit_Godwit_nextEventBytes(JNIEnv* env, jclass, jlong agent,
                                                                   jint timeout_ms) {
  std::vector<char> buffer(4'096);
  auto timeout = static_cast<uint32_t>(timeout_ms < 0 ? 0 : timeout_ms);
  for (;;) {
    std::size_t length = 0;
    const auto status =
        godwit_next_event(agent_of(agent), timeout, buffer.data(), buffer.size(), &length);
    if (status == GODWIT_OK) {
      const auto size = static_cast<jsize>(length - 1);
      jbyteArray bytes = env->NewByteArray(size);
      if (bytes == nullptr) return nullptr;
      env->SetByteArrayRegion(bytes, 0, size, reinterpret_cast<const jbyte*>(buffer.data()));
      return bytes;
    }
    if (status == GODWIT_TIMEOUT) return nullptr;
    if (status != GODWIT_TOO_LARGE) {
      raise(env, status);
      return nullptr;
    }
    buffer.resize(length);
    timeout = 0;
  }
}

}  // extern "C"

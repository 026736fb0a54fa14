import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.sourcelab.kafka.connect.apiclient.Configuration;
import org.sourcelab.kafka.connect.apiclient.KafkaConnectClient;
import org.sourcelab.kafka.connect.apiclient.request.dto.ConnectorPluginConfigDefinition;
import org.sourcelab.kafka.connect.apiclient.request.dto.NewConnectorDefinition;
import org.sourcelab.kafka.connect.apiclient.request.post.PostConnectorRestart;
import org.sourcelab.kafka.connect.apiclient.rest.exceptions.InvalidRequestException;

/**
 * Calls the public methods of org.sourcelab's KafkaConnectClient as it is told, one JSON object a line:
 *
 * <pre>
 * in:  {"client": "a", "call": "open", "args": [URL] or [URL, user, password]}
 * in:  {"client": "a", "call": "getConnector", "args": ["orders"]}
 * out: {"call": "getConnector", "value": …} or {"call": …, "error": exception, "code": its HTTP status, "message": …}
 * in:  {"client": "a", "call": "undriven", "args": []}
 * out: {"call": "undriven", "value": [the methods that have not yet succeeded with this client]}
 * </pre>
 *
 * Methods are found by reflection, so those of a newer client show up as undriven. It ends with its input.
 *
 * <p>Usage: java -cp 'DIR/*' DriveKafkaConnectClient.java
 */
public class DriveKafkaConnectClient {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<Method> METHODS = Arrays.stream(KafkaConnectClient.class.getDeclaredMethods())
        .filter(m -> Modifier.isPublic(m.getModifiers()) && !m.isSynthetic()).toList();

    private final KafkaConnectClient client;
    private final Set<String> undriven = new TreeSet<>();

    private DriveKafkaConnectClient(JsonNode args) {
        var configuration = new Configuration(args.get(0).asText()).useRequestTimeoutInSeconds(60);
        if (args.size() > 1) {
            configuration.useBasicAuth(args.get(1).asText(), args.get(2).asText());
        }
        client = new KafkaConnectClient(configuration);
        METHODS.forEach(m -> undriven.add(signature(m)));
    }

    public static void main(String[] none) throws Exception {
        var clients = new HashMap<String, DriveKafkaConnectClient>();
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode asked = JSON.readTree(line);
            String client = asked.get("client").asText();
            String call = asked.get("call").asText();
            ObjectNode answer = JSON.createObjectNode().put("call", call);
            if (call.equals("open")) {
                clients.put(client, new DriveKafkaConnectClient(asked.get("args")));
            } else {
                clients.get(client).call(call, asked.get("args"), answer);
            }
            out.println(JSON.writeValueAsString(answer));
        }
    }

    private void call(String call, JsonNode args, ObjectNode answer) throws Exception {
        if (call.equals("undriven")) {
            answer.set("value", JSON.valueToTree(undriven));
            return;
        }
        Method method = find(call, args);
        try {
            Object value = method.invoke(client, convert(method, args));
            undriven.remove(signature(method));
            // By the declared type: where the client answers with an interface, the class behind it has more than was asked for.
            var type = JSON.constructType(method.getGenericReturnType());
            answer.set("value", JSON.readTree(JSON.writerFor(type).writeValueAsString(value)));
        } catch (InvocationTargetException e) {
            Throwable cause = e.getCause();
            int code = cause instanceof InvalidRequestException refused ? refused.getErrorCode() : 0;
            answer.put("error", cause.getClass().getSimpleName()).put("code", code).put("message", cause.getMessage());
        }
    }

    private static String signature(Method m) {
        return m.getName() + Arrays.stream(m.getParameterTypes()).map(Class::getSimpleName).toList();
    }

    /** Of overloads, the one that takes an object where an object is given, and a name where a name is. */
    private static Method find(String name, JsonNode args) {
        return METHODS.stream()
            .filter(m -> m.getName().equals(name) && m.getParameterCount() == args.size())
            .filter(m -> args.isEmpty() || args.get(0).isTextual() == (m.getParameterTypes()[0] == String.class))
            .findFirst().orElseThrow(() -> new IllegalArgumentException("the client has no method " + name + " for " + args));
    }

    private static Object[] convert(Method method, JsonNode args) {
        Class<?>[] types = method.getParameterTypes();
        Object[] values = new Object[types.length];
        for (int i = 0; i < types.length; i++) {
            values[i] = convert(types[i], args.get(i));
        }
        return values;
    }

    @SuppressWarnings("unchecked")
    private static Object convert(Class<?> type, JsonNode arg) {
        if (type == NewConnectorDefinition.class) {
            return NewConnectorDefinition.newBuilder().withName(arg.get("name").asText())
                .withConfig(JSON.convertValue(arg.get("config"), Map.class)).build();
        }
        if (type == ConnectorPluginConfigDefinition.class) {
            return ConnectorPluginConfigDefinition.newBuilder().withName(arg.get("name").asText())
                .withConfig(JSON.convertValue(arg.get("config"), Map.class)).build();
        }
        if (type == PostConnectorRestart.class) {
            return new PostConnectorRestart(arg.get("name").asText())
                .withIncludeTasks(arg.get("includeTasks").asBoolean()).withOnlyFailed(arg.get("onlyFailed").asBoolean());
        }
        return JSON.convertValue(arg, type);
    }
}

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;

import com.google.gson.Gson;
import org.apache.flume.Event;
import org.apache.flume.api.RpcClient;
import org.apache.flume.api.RpcClientFactory;
import org.apache.flume.event.EventBuilder;

/** Client PORT EVENTS BATCH COMPRESSION: sends the events of a file with Flume's own client, the first by append. */
public class Client {
    static class Line {
        Map<String, String> headers;
        String body;
    }

    public static void main(String[] arguments) throws Exception {
        List<Event> events = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[1]), StandardCharsets.UTF_8)) {
            Line event = new Gson().fromJson(line, Line.class);
            events.add(EventBuilder.withBody(HexFormat.of().parseHex(event.body), event.headers));
        }
        int batch = Integer.parseInt(arguments[2]);
        Properties properties = new Properties();
        properties.put("client.type", "default");
        properties.put("hosts", "peer");
        properties.put("hosts.peer", "127.0.0.1:" + arguments[0]);
        properties.put("batch-size", String.valueOf(batch));
        properties.put("compression-type", arguments[3]);
        RpcClient client = RpcClientFactory.getInstance(properties);
        int answered = 1;
        client.append(events.get(0));
        for (int at = 1; at < events.size(); at += batch) {
            client.appendBatch(events.subList(at, Math.min(at + batch, events.size())));
            answered++;
        }
        client.close();
        System.out.println("answered " + answered);
        System.exit(0);
    }
}

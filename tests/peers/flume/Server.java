import java.io.BufferedWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import com.google.gson.Gson;
import org.apache.flume.ChannelException;
import org.apache.flume.Context;
import org.apache.flume.Event;
import org.apache.flume.channel.ChannelProcessor;
import org.apache.flume.channel.ReplicatingChannelSelector;
import org.apache.flume.conf.Configurables;
import org.apache.flume.source.AvroSource;

/**
 * Server PORT EVENTS COMPRESSION: runs Flume's own Avro source in front of a file. The first batch is answered
 * FAILED and forgotten. Ends when its standard input does.
 */
public class Server {
    static class Line {
        final Map<String, String> headers;
        final String body;

        Line(Event event) {
            headers = event.getHeaders();
            body = HexFormat.of().formatHex(event.getBody());
        }
    }

    static class Recorder extends ChannelProcessor {
        private final BufferedWriter out;
        private boolean refused;

        Recorder(BufferedWriter out) {
            super(new ReplicatingChannelSelector());
            this.out = out;
        }

        @Override
        public void processEvent(Event event) {
            processEventBatch(List.of(event));
        }

        @Override
        public synchronized void processEventBatch(List<Event> events) {
            if (!refused) {
                refused = true;
                throw new ChannelException("as the test wants it");
            }
            try {
                for (Event event : events) {
                    out.write(new Gson().toJson(new Line(event)));
                    out.write('\n');
                }
                out.flush();
            } catch (java.io.IOException error) {
                throw new ChannelException(error);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        AvroSource source = new AvroSource();
        source.setName("peer");
        Map<String, String> options = Map.of(
            "bind", "127.0.0.1", "port", arguments[0], "compression-type", arguments[2]);
        Configurables.configure(source, new Context(options));
        source.setChannelProcessor(
            new Recorder(Files.newBufferedWriter(Path.of(arguments[1]), StandardCharsets.UTF_8)));
        source.start();
        System.out.println("listening " + arguments[0]);
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}

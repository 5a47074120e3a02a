import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.HexFormat;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FsShell;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.protocol.HdfsConstants.DatanodeReportType;
import org.apache.hadoop.hdfs.protocol.HdfsConstants.SafeModeAction;
import org.apache.hadoop.hdfs.tools.DFSAdmin;
import org.apache.hadoop.io.BytesWritable;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.SequenceFile;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.io.Writable;
import org.apache.hadoop.util.ReflectionUtils;
import org.apache.hadoop.util.ToolRunner;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.example.GroupReadSupport;

/** Tool COMMAND ARGUMENTS: Hadoop's own tools and readers. */
public class Tool {
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        String[] rest = java.util.Arrays.copyOfRange(arguments, 1, arguments.length);
        switch (arguments[0]) {
            case "shell" -> System.exit(ToolRunner.run(configuration, new FsShell(configuration), rest));
            case "admin" -> System.exit(ToolRunner.run(configuration, new DFSAdmin(configuration), rest));
            case "ready" -> ready(configuration, Integer.parseInt(rest[0]));
            case "list" -> list(configuration, rest[0]);
            case "sequence" -> sequence(configuration, rest[0]);
            case "zstd" -> zstd(configuration, rest[0]);
            case "parquet" -> parquet(configuration, rest[0]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    /** Waits until the NameNode serves and knows this many living DataNodes. */
    static void ready(Configuration configuration, int nodes) throws Exception {
        long deadline = System.nanoTime() + 90_000_000_000L;
        configuration.setInt("ipc.client.connect.max.retries", 0);
        while (true) {
            try (FileSystem found = FileSystem.newInstance(configuration)) {
                DistributedFileSystem hdfs = (DistributedFileSystem) found;
                boolean safe = hdfs.setSafeMode(SafeModeAction.SAFEMODE_GET);
                if (!safe && hdfs.getDataNodeStats(DatanodeReportType.LIVE).length >= nodes) {
                    return;
                }
            } catch (java.io.IOException notYet) {
                if (System.nanoTime() > deadline) {
                    throw notYet;
                }
            }
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("the cluster is not ready");
            }
            Thread.sleep(100);
        }
    }

    static void list(Configuration configuration, String folder) throws Exception {
        RemoteIterator<LocatedFileStatus> files = FileSystem.get(configuration).listFiles(new Path(folder), true);
        while (files.hasNext()) {
            FileStatus file = files.next();
            System.out.println(file.getLen() + " " + file.getPath().toUri().getPath());
        }
    }

    /** Prints key and body in hex of each entry. */
    static void sequence(Configuration configuration, String glob) throws Exception {
        PrintStream out = new PrintStream(new java.io.BufferedOutputStream(System.out, 1 << 16), false);
        for (FileStatus file : FileSystem.get(configuration).globStatus(new Path(glob))) {
            SequenceFile.Reader.Option path = SequenceFile.Reader.file(file.getPath());
            try (SequenceFile.Reader reader = new SequenceFile.Reader(configuration, path)) {
                LongWritable key = new LongWritable();
                Writable value = (Writable) ReflectionUtils.newInstance(reader.getValueClass(), configuration);
                while (reader.next(key, value)) {
                    byte[] body = value instanceof Text text ? text.copyBytes() : ((BytesWritable) value).copyBytes();
                    out.println(key.get() + " " + HexFormat.of().formatHex(body));
                }
            }
        }
        out.flush();
    }

    /** Prints time, number of headers and body in hex of each row, as Parquet's own library for Hadoop reads them. */
    static void parquet(Configuration configuration, String glob) throws Exception {
        PrintStream out = new PrintStream(new java.io.BufferedOutputStream(System.out, 1 << 16), false);
        for (FileStatus file : FileSystem.get(configuration).globStatus(new Path(glob))) {
            ParquetReader.Builder<Group> builder = ParquetReader.builder(new GroupReadSupport(), file.getPath());
            try (ParquetReader<Group> reader = builder.withConf(configuration).build()) {
                for (Group row = reader.read(); row != null; row = reader.read()) {
                    boolean hasTime = row.getFieldRepetitionCount("timestamp") > 0;
                    int headers = row.getGroup("headers", 0).getFieldRepetitionCount("key_value");
                    String body = HexFormat.of().formatHex(row.getBinary("body", 0).getBytes());
                    out.println((hasTime ? row.getLong("timestamp", 0) : "-") + " " + headers + " " + body);
                }
            }
        }
        out.flush();
    }

    /** Hadoop's own codec needs its native library; what it writes are plain zstd frames. */
    static void zstd(Configuration configuration, String glob) throws Exception {
        FileSystem hdfs = FileSystem.get(configuration);
        OutputStream out = System.out;
        for (FileStatus file : hdfs.globStatus(new Path(glob))) {
            try (InputStream in = new com.github.luben.zstd.ZstdInputStream(hdfs.open(file.getPath()))) {
                in.transferTo(out);
            }
        }
        out.flush();
    }
}
